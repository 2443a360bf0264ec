import ArgumentParser
import Glibc
import Terminal

/// The command line of Anneal. It speaks only HTTP with the daemon.
struct Anneal: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "anneal",
        abstract: "Train and evaluate language models: submit experiments to the Anneal daemon and follow them.",
        discussion: HelpText.discussion(
            """
            Wherever an id is asked for, a name will do: NAME for the newest experiment of that name, EXPERIMENT/JOB for a job.

            ENVIRONMENT:
              ANNEAL_URL    the daemon: http://HOST:PORT or unix:///PATH;
                            by default \(Endpoint.standard)
              ANNEAL_TOKEN  the token to show to it
              NO_COLOR      set: no colours
            """,
            examples: "anneal submit experiment.yaml --watch", "anneal show toy", "anneal logs toy/sft --follow"),
        groupedSubcommands: [
            CommandGroup(
                name: "Experiments and jobs",
                subcommands: [
                    Submit.self, Validate.self, List.self, Show.self, Watch.self, Logs.self, Metrics.self, Plot.self, Explain.self,
                    ExplainParams.self,
                ]),
            CommandGroup(
                name: "Control", subcommands: [Cancel.self, Retry.self, Pause.self, Resume.self, Hold.self, Release.self, Priority.self]),
            CommandGroup(
                name: "Results",
                subcommands: [
                    Datasets.self, Generations.self, Rollouts.self, Checkpoints.self, Evaluations.self, Compare.self, Lineage.self,
                    Export.self, Import.self,
                ]),
            CommandGroup(
                name: "Machine",
                subcommands: [
                    Top.self, GPUs.self, Clusters.self, Queue.self, Usage.self, Projects.self, Webhooks.self, Tokens.self, Audit.self,
                    Doctor.self,
                    Version.self, Backup.self, Restore.self, GarbageCollection.self,
                ]),
        ])
}

@main
enum Program {
    static func main() {
        ProcessSignals.unblock()
        do {
            var command = try Anneal.parseAsRoot()
            try command.run()
            exit(ExitStatus.done.rawValue)
        } catch let failure as CommandFailure {
            Output.report(failure)
            exit(failure.status.rawValue)
        } catch {
            exit(report(error).rawValue)
        }
    }

    /// Prints what the argument parser has to say: help on standard output, or what is wrong with the command line.
    private static func report(_ error: any Error) -> ExitStatus {
        let isHelp = Anneal.exitCode(for: error).isSuccess
        if isHelp {
            Output.write(Anneal.fullMessage(for: error) + "\n")
            return .done
        }
        // The full message holds the usage line of the command at fault below the error.
        let usage = Anneal.fullMessage(for: error).split(separator: "\n").drop { !$0.hasPrefix("Usage:") }
        Output.complain((["anneal: \(Anneal.message(for: error))"] + usage.map(String.init)).joined(separator: "\n"))
        return .usage
    }
}
