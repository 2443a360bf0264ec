import JSON

extension SchemaCheck {
    /// Checks a value that is written as text.
    mutating func checkText(_ value: inout JSONValue, as type: ValueType, at path: JSONPointer) {
        guard let text = value.string else { return }
        if text.isEmpty { fail(.badValue, path, "must not be empty"); return }
        if text.utf8.contains(0) { fail(.badValue, path, "must not contain a NUL character"); return }
        switch type {
        case .text(let bytesMax):
            if text.utf8.count > bytesMax { fail(.tooLarge, path, "has \(text.utf8.count) bytes; at most \(bytesMax) are allowed") }
        case .name(let rule):
            if !rule.matches(text) { fail(.badValue, path, "'\(text)' is not allowed: \(rule.description)") }
        case .choice(let words, let later):
            if !words.contains(text) { failChoice(text, words, later: later, type, at: path) }
        case .httpURL:
            if ReferenceText.mightRefer(text) || !Self.isHTTPURL(text) { fail(.badValue, path, "must be \(type), not '\(text)'") }
        case .path(let kind, let artifact):
            if let resolved = localPath(text, at: path) { value = take(resolved, kind, artifact, at: path) }
        case .model: checkModel(text, &value, at: path, needsConfiguration: true)
        case .weights: checkModel(text, &value, at: path, needsConfiguration: false)
        case .dataset: checkDataset(text, &value, at: path)
        case .evaluation: checkEvaluation(text, &value, at: path)
        default: break
        }
    }

    private func failChoice(_ text: String, _ words: [String], later: [String], _ type: ValueType, at path: JSONPointer) {
        if later.contains(text) {
            fail(.unsupported, path, "'\(text)' is not supported by this build; supported: \(words.joined(separator: ", "))")
        } else {
            fail(.badValue, path, "must be \(type), not '\(text)'\(Spelling.suggestion(for: text, among: words + later))")
        }
    }

    private static func isHTTPURL(_ text: String) -> Bool {
        guard let scheme = ["http://", "https://"].first(where: { text.lowercased().hasPrefix($0) }) else { return false }
        let rest = text.dropFirst(scheme.count)
        return rest.first.map { $0 != "/" && $0 != "?" && $0 != "#" } ?? false && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    /// The absolute path, or `nil` where it contains references or was refused.
    private func localPath(_ text: String, at path: JSONPointer) -> String? {
        if ReferenceText.mightRefer(text) { return nil }
        guard text.utf8.count <= SpecLimits.pathBytesMax else {
            fail(.tooLarge, path, "a path of more than \(SpecLimits.pathBytesMax) bytes")
            return nil
        }
        guard let absolute = world.context.absolute(text) else {
            fail(
                .missingFile, path,
                "the path '\(text)' is relative, and the submission names no folder to start from; give an absolute path")
            return nil
        }
        if let refusal = world.context.refusal(absolute) {
            fail(.notAllowed, path, refusal)
            return nil
        }
        return absolute
    }

    /// Checks that the right thing stands at an absolute path, and notes it as an input.
    private mutating func take(_ absolute: String, _ kind: PathKind, _ artifact: ArtifactType?, at path: JSONPointer) -> JSONValue {
        switch world.kind(at: absolute) {
        case kind:
            if let artifact { externals.append(ExternalInput(pointer: path, type: artifact, source: .path(absolute))) }
        case nil:
            fail(.missingFile, path, "there is no \(kind == .file ? "file" : "folder") at '\(absolute)'")
        case .file?:
            fail(.missingFile, path, "'\(absolute)' is a file; a folder is needed")
        case .directory?:
            fail(.missingFile, path, "'\(absolute)' is a folder; a file is needed")
        }
        return .string(absolute)
    }

    /// Notes what a place takes that refers to another job. Text around a reference is a mistake here.
    private mutating func refer(_ text: String, _ type: ArtifactType, at path: JSONPointer) {
        guard let parsed = try? ReferenceText(text) else { return }  // Reported where all references of the job are read.
        if parsed.whole != nil {
            expected[path] = type
        } else if !parsed.references.isEmpty {
            fail(.badValue, path, "must be one reference alone, or contain none")
        } else {
            fail(.badValue, path, "'\(text)' is no path")
        }
    }

    private mutating func checkModel(_ text: String, _ value: inout JSONValue, at path: JSONPointer, needsConfiguration: Bool) {
        switch ModelSource(text) {
        case .checkpoint(let id):
            guard world.isRegistered(text) else { fail(.unknownName, path, "there is no checkpoint '\(id)'"); return }
            externals.append(ExternalInput(pointer: path, type: .checkpoint, source: .registered(id)))
        case .path(let local):
            guard let absolute = localPath(local, at: path) else { return }
            // Only servers read such a file; their rules see to that.
            if needsConfiguration, local.hasSuffix(".gguf") { return value = take(absolute, .file, .checkpoint, at: path) }
            value = take(absolute, .directory, .checkpoint, at: path)
            if needsConfiguration, world.kind(at: absolute) == .directory, world.kind(at: absolute + "/config.json") != .file {
                fail(.missingFile, path, "'\(absolute)' is no model: it has no config.json")
            }
        case .reference, nil: refer(text, .checkpoint, at: path)
        }
    }

    private mutating func checkDataset(_ text: String, _ value: inout JSONValue, at path: JSONPointer) {
        switch DatasetSource(text) {
        case .registered(let name):
            guard world.isRegistered(name) else {
                fail(.unknownName, path, "there is no dataset '\(name)'; write './\(name)' for a local file")
                return
            }
            externals.append(ExternalInput(pointer: path, type: .dataset, source: .registered(name)))
        case .path(let local):
            if let absolute = localPath(local, at: path) { value = take(absolute, .file, .dataset, at: path) }
        case .reference, nil: refer(text, .dataset, at: path)
        }
    }

    private mutating func checkEvaluation(_ text: String, _ value: inout JSONValue, at path: JSONPointer) {
        switch EvaluationSource(text) {
        case .registered(let id):
            guard world.isRegistered(id) else { fail(.unknownName, path, "there is no evaluation '\(id)'"); return }
            externals.append(ExternalInput(pointer: path, type: .evaluation, source: .registered(id)))
        case .path(let local):
            if let absolute = localPath(local, at: path) { value = take(absolute, .file, .evaluation, at: path) }
        case .reference, nil: refer(text, .evaluation, at: path)
        }
    }
}
