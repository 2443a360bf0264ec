import APITypes
import JSON
import Testing

/// What is told of datasets beside their list.
@Suite struct DatasetTests {
    private static func dataset(_ version: Int, tags: [String: String] = [:]) -> DatasetView {
        var view = DatasetView(
            id: "ds_\(version)", name: "look", version: version, sha256: "abc", rows: 3, bytes: 30, format: "input_output",
            createdAt: Sample.time)
        view.tags = tags
        return view
    }

    @Test func whatIsInADatasetIsShown() throws {
        let view = DatasetInspectionView(
            dataset: Self.dataset(1, tags: ["owner": "ada"]),
            characters: CharactersView(
                min: 2, max: 7, mean: 4.5, quantiles: [4, 7, 7],
                histogram: [.init(from: 0, to: 0, records: 0), .init(from: 4, to: 7, records: 3)]),
            words: CharactersView(min: 1, max: 1, mean: 1, quantiles: [1, 1, 1], histogram: [.init(from: 1, to: 1, records: 3)]),
            duplicates: 1, duplicateShare: 1.0 / 3, labels: [LabelView(value: "20", records: 2)], labelMember: "output",
            fields: [FieldView(path: "input", types: ["string"], records: 3, share: 1)],
            samples: [DatasetSampleView(line: 1, record: ["input": "a"])])
        try CLIFixture.with(["GET /v1/datasets/look/inspect?samples=3": [try Script.json(view)]]) { (fixture) throws in
            let output = try fixture.run("datasets", "inspect", "look").output
            let parts = [
                "look@1\n", "repeated    1 (33.3 %)", "2 to 7, 4.5 in the mean; half up to 4, 95 % up to 7", "tag owner   ada", "4–7",
                "████",
                "LABEL (output)", "20 ", "66.7 %", "input   string        3  100.0 %", "line 1",
            ]
            for part in parts {
                #expect(output.contains(part), "\(part) is missing in \(output)")
            }
        }
    }

    @Test func twoDatasetsAreCompared() throws {
        let view = DatasetDiffView(
            from: Self.dataset(1), to: Self.dataset(2), common: 2, changed: 1, added: 1, removed: 1,
            changedSamples: [
                DatasetChangeView(
                    from: DatasetSampleView(line: 1, record: ["id": 1]), to: DatasetSampleView(line: 2, record: ["id": 1, "x": 2]))
            ],
            addedSamples: [DatasetSampleView(line: 5, record: ["a": 1])], removedSamples: [DatasetSampleView(line: 3, record: ["a": 2])])
        try CLIFixture.with(["GET /v1/datasets/diff?from=look%401&to=look%402&samples=3": [try Script.json(view)]]) { (fixture) throws in
            #expect(
                try fixture.run("datasets", "diff", "look@1", "look@2").output
                    == "look@1 → look@2: 2 common, 1 changed, 1 added, 1 removed\n- 1: {\"id\": 1}\n+ 2: {\"id\": 1, \"x\": 2}\n"
                    + "- 3: {\"a\": 2}\n+ 5: {\"a\": 1}\n")
        }
    }

    @Test func tagsAreSetAndTakenAwayAndDatasetsDeleted() throws {
        let script: Script = [
            "PATCH /v1/datasets/look": [try Script.json(Self.dataset(2, tags: ["owner": "ada"])), try Script.json(Self.dataset(2))],
            "DELETE /v1/datasets/look%401": [Script.text("")], "DELETE /v1/datasets/look%402?force=true": [Script.text("")],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            #expect(try fixture.run("datasets", "tag", "look", "owner=ada").output == "look@2: owner=ada\n")
            #expect(try fixture.run("datasets", "tag", "look", "owner=").output == "look@2: no tags\n")
            #expect(try fixture.run("datasets", "tag", "look", "owner").status == 2)
            #expect(try fixture.run("datasets", "rm", "look@1").output == "look@1: deleted\n")
            #expect(try fixture.run("datasets", "rm", "--force", "look@2").output == "look@2: deleted\n")
        }
    }
}
