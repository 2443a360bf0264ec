/// One step of a preparation.
public enum PreparationStep: Sendable, Equatable {
    /// Spreads the right answers of JCommonsenseQA questions evenly over the choices.
    case rebalanceJCQA(seed: Int)
    /// Turns JCommonsenseQA questions into chat messages.
    case convertJCQA
    /// Turns input and output, or a `conversations` list, into chat messages, with `system` first where it is given.
    case toMessages(system: String?)
    case shuffle(seed: Int)
    /// Keeps `count` records drawn without replacement, in the order they had.
    case sample(count: Int, seed: Int)
    /// Divides the records; only as the last step.
    case split(DatasetSplit)
    case correctness(CorrectnessSelection)
    case filters(SolutionFilters)
    case dedupe(Deduplication)
    case downsample(Downsampling)
    case codeText(CodeTextFilter)
    case render(PromptRendering)
    case extractProblems(ProblemExtraction)
    case preferencePairs(PreferencePairing)
    case passRate(PassRateSelection)
    case curriculum(Curriculum)
    case reasoningToggle(ReasoningToggle)
    case decontaminate(Decontamination)
    case command(ProgramStep)

    /// The step's name in a spec.
    public var name: String {
        switch self {
        case .rebalanceJCQA: "jcqa_rebalance"
        case .convertJCQA: "jcqa_messages"
        case .toMessages: "to_messages"
        case .shuffle: "shuffle"
        case .sample: "sample"
        case .split: "split"
        case .correctness: "correctness"
        case .filters: "filters"
        case .dedupe: "dedupe"
        case .downsample: "downsample"
        case .codeText: "code_text"
        case .render: "render"
        case .extractProblems: "extract_problems"
        case .preferencePairs: "preference_pairs"
        case .passRate: "pass_rate"
        case .curriculum: "curriculum"
        case .reasoningToggle: "reasoning_toggle"
        case .decontaminate: "decontaminate"
        case .command: "command"
        }
    }

    var isJCQA: Bool {
        switch self {
        case .rebalanceJCQA, .convertJCQA: true
        default: false
        }
    }

    /// True for steps that work on records of any members, such as generations, which no trainer reads as they are.
    var takesAnyRecord: Bool {
        switch self {
        case .rebalanceJCQA, .convertJCQA, .toMessages, .shuffle, .sample, .split, .reasoningToggle: false
        default: true
        }
    }
}
