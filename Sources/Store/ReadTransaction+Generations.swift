import Domain

extension ReadTransaction {
    /// The passes of a job, by seed.
    public func generationPasses(job: String) throws -> [GenerationPassRecord] {
        try rows("SELECT \(GenerationPassRecord.columns) FROM generation_pass WHERE job_id = ? ORDER BY seed", [job]) {
            GenerationPassRecord(&$0)
        }
    }

    func generationPass(job: String, seed: Int) throws -> GenerationPassRecord? {
        try row("SELECT \(GenerationPassRecord.columns) FROM generation_pass WHERE job_id = ? AND seed = ?", [job, seed]) {
            GenerationPassRecord(&$0)
        }
    }

    /// Passes of other jobs whose records stand in for those of this one, with the most records first. Of other projects only those are
    /// taken that all who see this one's results may see.
    public func generationPasses(fingerprint: String, seed: Int, except job: String, limit: Int) throws -> [GenerationPassRecord] {
        func project(_ job: String) -> String {
            "(SELECT project FROM experiment WHERE id = (SELECT experiment_id FROM job WHERE job.id = \(job)))"
        }
        return try rows(
            """
            SELECT \(GenerationPassRecord.columns) FROM generation_pass
            WHERE fingerprint = ?1 AND seed = ?2 AND job_id <> ?3 AND done > 0
            AND \(SharedResults.condition(of: project("generation_pass.job_id"), for: project("?3")))
            ORDER BY done DESC, id DESC LIMIT ?4
            """, [fingerprint, seed, job, limit]
        ) { GenerationPassRecord(&$0) }
    }

    /// Records that were given up and have not come since, by seed and position.
    ///
    /// - Parameter after: the seed and the position of the last one of the page before.
    public func generationFailures(job: String, after: (seed: Int, position: Int)? = nil, limit: Int) throws
        -> Page<GenerationFailureRecord>
    {
        let place = after ?? (-1, -1)
        return try page(
            """
            SELECT \(GenerationFailureRecord.columns) FROM generation_pass JOIN generation_failure ON pass_id = generation_pass.id
            WHERE job_id = ? AND (seed, position) > (?, ?) ORDER BY seed, position
            """, [job, place.seed, place.position], limit: limit
        ) { GenerationFailureRecord(&$0) }
    }

    /// The first positions of a pass that are missing, as ranges.
    public func missingGenerations(_ pass: GenerationPassRecord, max: Int) throws -> [ClosedRange<Int>] {
        var gaps: [ClosedRange<Int>] = []
        for number in 0..<((pass.total + PositionBits.width - 1) / PositionBits.width) where gaps.count < max {
            let bits = try row("SELECT bits FROM generation_segment WHERE pass_id = ? AND number = ?", [pass.id, number]) {
                PositionBits(try $0.bytes())
            }
            let start = number * PositionBits.width
            for gap in (bits ?? PositionBits()).gaps(below: min(PositionBits.width, pass.total - start), max: max) {
                let found = (gap.lowerBound + start)...(gap.upperBound + start)
                if let last = gaps.last, last.upperBound + 1 == found.lowerBound {
                    gaps[gaps.count - 1] = last.lowerBound...found.upperBound
                } else {
                    gaps.append(found)
                }
            }
        }
        return Array(gaps.prefix(max))
    }
}
