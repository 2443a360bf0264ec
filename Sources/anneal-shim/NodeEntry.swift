import Glibc

/// `anneal-shim --enter COUNT PROGRAM ARGUMENT…`: becomes the program, after what only this node knows is filled in.
///
/// Which GPUs a worker has, and what its allocation calls itself, is known where it runs. Of the first COUNT words each that stands in
/// braces is replaced: `{name:NAME}` by the container's name, `{gpus:cdi|docker|apptainer}` by what hands the GPUs in, and
/// `{variables:NAME,PREFIX*}` by what hands variables in, which for apptainer, `{apptainer:…}`, are renamed instead.
struct NodeEntry {
    /// What a container runtime ends with where it could not make a container, so that it is not taken for the worker's end.
    static let failure: Int32 = 125

    /// The words of the command line, with the placeholders replaced.
    private(set) var words: [String] = []
    private(set) var environment: [(key: String, value: String)]
    /// The container, and how many words stand before the runtime's subcommand; `nil` for a runtime whose containers have no names.
    private(set) var container: (name: String, runtime: Int)?
    private let gpus: [String]

    /// - Parameters:
    ///   - words: the program and its arguments.
    ///   - count: how many of them may be placeholders; those behind are the worker's own.
    init(_ words: [String], placeholders count: Int, environment: [(key: String, value: String)]) {
        self.environment = environment
        gpus = Self.gpus(environment)
        for (index, word) in words.enumerated() {
            guard index < count, word.hasPrefix("{"), word.hasSuffix("}"), let colon = word.firstIndex(of: ":") else {
                self.words.append(word)
                continue
            }
            fill(word[word.index(after: word.startIndex)..<colon], String(word[word.index(after: colon)...].dropLast()))
        }
    }

    private mutating func fill(_ name: Substring, _ argument: String) {
        switch name {
        case "name":
            let node = value(of: "SLURM_NODEID") ?? "0"
            let name = node == "0" ? argument : argument + "-" + node
            container = (name, words.count - 1)
            words += (node == "0" ? [] : ["--rm"]) + ["--name", name]
        case "gpus" where gpus.isEmpty: break
        case "gpus" where argument == "apptainer": words.append("--nv")
        case "gpus":
            words += argument == "docker" ? ["--gpus", "\"device=\(list(gpus))\""] : gpus.flatMap { ["--device", "nvidia.com/gpu=" + $0] }
            number()
        case "variables": for name in present(argument) { words += ["--env", name] }
        case "apptainer": for name in present(argument) { environment.append(("APPTAINERENV_" + name, value(of: name) ?? "")) }
        default: break
        }
    }

    /// Within, the GPUs that were handed in are the only ones, so their places are counted from 0; names stay names.
    private mutating func number() {
        guard gpus.allSatisfy({ Int($0) != nil }) else { return }
        environment.removeAll { $0.key == Self.visible }
        environment.append((Self.visible, list(gpus.indices.map { String($0) })))
    }

    private static let visible = "CUDA_VISIBLE_DEVICES"

    /// The GPUs of the step or the job on this node: their places among all of the node, or their names. What a program is to see is
    /// counted anew where Slurm holds it to its devices, so that comes last.
    private static func gpus(_ environment: [(key: String, value: String)]) -> [String] {
        for name in ["SLURM_STEP_GPUS", "SLURM_JOB_GPUS", visible] {
            guard let text = environment.last(where: { $0.key == name })?.value, !text.isEmpty else { continue }
            let places = BatchAllocation.expanded(text)
            return places.isEmpty ? text.split(separator: ",").map(String.init) : places.map { String($0) }
        }
        return []
    }

    /// The variables that are there of a list of names and prefixes, each once.
    private func present(_ list: String) -> [String] {
        let patterns = list.split(separator: ",")
        let names = environment.map(\.key).filter { name in
            patterns.contains { $0.hasSuffix("*") ? name.hasPrefix($0.dropLast()) : name == $0 }
        }
        return Array(Set(names)).sorted()
    }

    private func value(of name: String) -> String? { environment.last { $0.key == name }?.value }

    private func list(_ words: [String]) -> String {
        var text = ""
        for word in words { text += (text.isEmpty ? "" : ",") + word }
        return text
    }

    /// Runs the command line; returns only where that fails, or it is none.
    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 2, let count = Int(arguments[0]), count > 0 else {
            complain("usage: anneal-shim --enter COUNT PROGRAM [ARGUMENT...]")
            return ShimExit.usage.rawValue
        }
        let entry = NodeEntry(Array(arguments.dropFirst()), placeholders: count, environment: BatchAllocation.environment)
        do throws(StartError) {
            let program = try ProgramSearch(name: entry.words[0], environment: entry.environment).path()
            if let (name, runtime) = entry.container { ContainerGuard.start(of: name, entry.words[..<runtime], entry.environment) }
            let words = CStringArray(entry.words)
            let variables = CStringArray(entry.environment.map { "\($0.key)=\($0.value)" })
            execve(program, words.pointers, variables.pointers)
            complain("cannot run '\(program)': \(describe(errno))")
        } catch {
            complain(error.message)
        }
        return failure
    }
}
