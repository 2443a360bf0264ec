import Domain
import JSON
import Testing

@testable import Diagnosis

@Suite struct DiagnosisTests {
    private func judge(_ change: (inout AttemptEvidence) -> Void) -> Diagnosis {
        var facts = AttemptEvidence()
        facts.exitCode = 1
        change(&facts)
        return Diagnosis.of(facts, patterns: .builtIn)
    }

    private func log(_ text: String, code: Int32 = 1) -> Diagnosis {
        judge {
            $0.stderrTail = text
            $0.exitCode = code
        }
    }

    @Test(arguments: [
        (Int32(0), Reason.succeeded), (64, .badConfig), (65, .badData), (75, .interrupted), (1, .crashed), (255, .crashed),
    ])
    func anExitCodeHasItsCause(code: Int32, cause: Reason) {
        #expect(log("", code: code).cause == cause)
    }

    @Test(arguments: [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", Reason.cudaOOM),
        ("RuntimeError: CUDA error: out of memory", .cudaOOM),
        ("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`", .cudaOOM),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried", .hostOOM),
        ("MemoryError", .hostOOM), ("terminate called after throwing an instance of 'std::bad_alloc'", .hostOOM),
        ("ModuleNotFoundError: No module named 'flash_attn'", .importError),
        ("ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory", .importError),
        ("[rank1]: torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:2251, unhandled system error", .ncclError),
        ("[rank3]:[E1121 10:00:00 ProcessGroupNCCL.cpp:616] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL", .ncclError),
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", .gpuFault),
        ("OSError: [Errno 28] No space left on device", .diskFull),
        (
            "safetensors_rust.SafetensorError: Error while serializing: IoError(Os { code: 28, message: \"No space left on device\" })",
            .diskFull
        ),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443)", .network),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", .network),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", .network),
        ("requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url", .network),
        ("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", .badData),
        ("pyarrow.lib.ArrowInvalid: JSON parse error: Missing a name for object member. in row 3", .badData),
        ("train.py: error: unrecognized arguments: --learning-rat 1e-5", .badConfig),
        ("pydantic_core._pydantic_core.ValidationError: 1 validation error for Config", .badConfig),
        ("FloatingPointError: loss is nan at step 12", .nanLoss), ("ValueError: nothing of note", .crashed),
    ])
    func aLastLineHasItsCause(line: String, cause: Reason) {
        let diagnosis = log("Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    run()\n\(line)\n")
        #expect(diagnosis.cause == cause)
        #expect(diagnosis.evidence.contains { $0.kind == "log" && $0.message.contains(line.suffix(20)) })
        #expect(diagnosis.evidence.contains { $0.kind == "exit" })
    }

    @Test func theLastExceptionCountsMoreThanEarlierNoise() {
        let text = """
            Traceback (most recent call last):
              File "hub.py", line 1
            requests.exceptions.ConnectionError: no route
            warning: using the local copy
            Traceback (most recent call last):
              File "train.py", line 9
            torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB
            """
        #expect(log(text).cause == .cudaOOM)
    }

    @Test func errorsOfCommunicationAfterAPeerRanOutOfMemoryDoNotHideIt() {
        let text = """
            [rank0]: Traceback (most recent call last):
            [rank0]:   File "train.py", line 9
            [rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB
            [rank1]: Traceback (most recent call last):
            [rank1]:   File "train.py", line 9
            [rank1]: torch.distributed.DistBackendError: NCCL error in: remote process exited
            """
        #expect(log(text).cause == .cudaOOM)
    }

    @Test func aHandledErrorInTheLogDoesNotOutrankTheExceptionThatEndedTheProgram() {
        let text = """
            retrying after Connection reset by peer
            Traceback (most recent call last):
              File "train.py", line 9
            ModuleNotFoundError: No module named 'x'
            """
        #expect(log(text).cause == .importError)
    }

    @Test func anExceptionThatNoPatternKnowsIsNotBlamedOnEarlierNoise() {
        let text = """
            Traceback (most recent call last):
              File "hub.py", line 1
            requests.exceptions.ConnectionError: no route
            Traceback (most recent call last):
              File "train.py", line 9
            ValueError: odd number of heads
            """
        #expect(log(text).cause == .crashed)
    }

    @Test func whatSomebodyAskedForOutranksTheExitCode() {
        for (reason, cause) in [
            ("paused", Reason.paused), ("preempted", .preempted), ("timeout", .timeout), ("stalled", .stalled), ("nan_loss", .nanLoss),
            ("disk_full", .diskFull), ("log_limit", .logLimit), ("cancelled", .cancelled), ("superseded", .superseded),
        ] {
            let diagnosis = judge {
                $0.exitCode = 75
                $0.stopReason = reason
            }
            #expect(diagnosis.cause == cause)
        }
        // A worker that was done before the request reached it has done its work; a cancelled one is not wanted any more.
        for (reason, cause) in [("paused", Reason.succeeded), ("preempted", .succeeded), ("cancelled", .cancelled)] {
            let diagnosis = judge {
                $0.exitCode = 0
                $0.stopReason = reason
            }
            #expect(diagnosis.cause == cause)
        }
    }

    @Test func theKernelAndTheDriverAreBelievedBeforeTheLog() {
        let text = "torch.distributed.DistBackendError: NCCL error"
        let memory = judge {
            $0.stderrTail = text
            $0.oomKills = 2
        }
        #expect(memory.cause == .hostOOM && memory.evidence.contains { $0.kind == "cgroup" })
        let fault = GPUFault(uuid: "GPU-1", xid: 79, kind: "xid", message: "the driver reported Xid 79", at: Timestamp(milliseconds: 0))
        let device = judge {
            $0.stderrTail = text
            $0.gpuFaults = [fault]
        }
        #expect(device.cause == .gpuFault && device.message.contains("Xid 79") && device.evidence.contains { $0.data["xid"]?.int == 79 })
        // An Xid that programs bring about themselves says nothing of the GPU.
        let own = judge {
            $0.stderrTail = text
            $0.gpuFaults = [GPUFault(uuid: "GPU-1", xid: 13, kind: "xid", message: "Xid 13", at: Timestamp(milliseconds: 0))]
        }
        #expect(own.cause == .ncclError)
    }

    @Test func signalsThatNobodySentAreTold() {
        for (signal, cause) in [(Int32(9), Reason.killed), (15, .killed), (11, .crashed), (6, .crashed)] {
            let diagnosis = judge {
                $0.exitCode = nil
                $0.signal = signal
                $0.stderrTail = "last words"
            }
            #expect(diagnosis.cause == cause && diagnosis.message.contains("signal \(signal)") && diagnosis.message.contains("last words"))
        }
        #expect(judge { $0.exitCode = nil }.cause == .unknown)
    }

    @Test func theWorkersOwnWordIsBelieved() {
        let own = judge {
            $0.reportedReason = .diskFull
            $0.reportedMessage = "no room"
        }
        #expect(own.cause == .diskFull && own.message.hasPrefix("no room"))
        let internalError = judge {
            $0.reportedReason = Reason(rawValue: "internal_error")
            $0.stderrTail = "ModuleNotFoundError: No module named 'x'"
        }
        #expect(internalError.cause == .importError)
    }

    @Test func aGateAndAFaultyReportAreTold() {
        #expect(judge { $0.missedGate = "the gate was missed" }.cause == .gateFailed)
        let fault = judge {
            $0.exitCode = 0
            $0.reportFault = "outputs.json is not JSON"
        }
        #expect(fault.cause == .crashed && fault.message.contains("not JSON"))
        let start = judge {
            $0.exitCode = nil
            $0.startError = "no such program: x"
        }
        #expect(start.cause == .startFailed && start.message.contains("no such program: x"))
    }
}

@Suite struct CausePatternsTests {
    @Test func aUsersPatternsComeFirst() throws {
        let text = #"{"version": 1, "causes": [{"cause": "network", "hint": "is the proxy up?", "patterns": ["^MemoryError"]}]}"#
        let patterns = try CausePatterns.builtIn.extended(by: Array(text.utf8), path: "mine.json")
        #expect(patterns.match("MemoryError")?.cause == .network)
        #expect(patterns.match("MemoryError")?.hint == "is the proxy up?")
        #expect(patterns.match("ModuleNotFoundError: x")?.cause == .importError)
    }

    @Test(arguments: [
        ("{", "not JSON"), ("{}", "version"), (#"{"version": 1, "causes": [{"cause": "X", "patterns": ["a"]}]}"#, "/causes/0/cause"),
        (#"{"version": 1, "causes": [{"cause": "x", "patterns": []}]}"#, "/causes/0/patterns"),
        (#"{"version": 1, "causes": [{"cause": "x", "patterns": ["a", "("]}]}"#, "/causes/0/patterns/1"),
    ])
    func aBrokenFileIsRefusedWithItsPlace(text: String, place: String) {
        let error = #expect(throws: CausePatternsError.self) { try CausePatterns.builtIn.extended(by: Array(text.utf8), path: "mine.json") }
        #expect(error?.description.contains("mine.json") == true && error?.description.contains(place) == true)
    }
}

@Suite struct StallWatchTests {
    private let policy = StallPolicy(least: .seconds(60), most: .seconds(600))

    /// Plays seconds of a worker that steps and logs as told; returns the second at which it was called stalled.
    private func play(
        _ watch: StallWatch, seconds: Int, from start: Int = 0, every interval: Int = 1, step: (Int) -> Bool,
        log: (Int) -> Bool = { _ in false },
        cpu: (Int) -> Double = { _ in 0 }
    ) -> Int? {
        var watch = watch
        var (bytes, used): (Int64, Double) = (0, 0)
        for second in stride(from: start, to: start + seconds, by: interval) {
            if step(second) { watch.step(at: Double(second), step: second) }
            if log(second) { bytes += 1 }
            used += cpu(second) * Double(interval)
            watch.observe(StallWatch.Reading(at: Double(second), logBytes: bytes, cpuSeconds: used, gpuUtilization: nil))
            if watch.verdict == .stalled { return second }
        }
        return nil
    }

    @Test func aWorkerWhoseStepsStopIsStalledAfterTenOfItsSlowSteps() throws {
        let end = try #require(play(StallWatch(policy: policy), seconds: 2000) { $0 < 300 && $0 % 10 == 0 })
        #expect((385...395).contains(end))
    }

    @Test func fastStepsStillGetTheLeastTime() throws {
        let end = try #require(play(StallWatch(policy: policy), seconds: 2000) { $0 < 100 })
        #expect((158...161).contains(end))
    }

    @Test func slowIsNotStalled() {
        #expect(play(StallWatch(policy: policy), seconds: 6000) { $0 % 55 == 0 } == nil)
        #expect(play(StallWatch(policy: policy), seconds: 6000, step: { $0 < 100 }, log: { $0 % 40 == 0 }) == nil)
    }

    @Test func beforeTheFirstStepTheLongestTimeIsWaitedFor() throws {
        let end = try #require(play(StallWatch(policy: policy), seconds: 2000) { _ in false })
        #expect((598...602).contains(end))
    }

    @Test func workWithoutStepsIsNoStallUntilTheLongestTime() throws {
        let end = try #require(play(StallWatch(policy: policy), seconds: 2000, step: { $0 < 100 }, cpu: { _ in 1 }))
        #expect((697...702).contains(end))
    }

    @Test func timeThatNobodyObservedDoesNotCount() {
        var watch = StallWatch(policy: policy)
        watch.step(at: 0, step: 0)
        watch.step(at: 1, step: 1)
        for second in stride(from: 0.0, to: 40_000, by: 4_000) {
            watch.observe(StallWatch.Reading(at: second, logBytes: 0, cpuSeconds: 0, gpuUtilization: nil))
        }
        #expect(watch.verdict == .alive)
    }

    @Test func aBusyGPUIsASignOfLife() {
        var watch = StallWatch(policy: policy)
        for second in 0..<599 {
            if second < 10 { watch.step(at: Double(second), step: second) }
            watch.observe(StallWatch.Reading(at: Double(second), logBytes: 0, cpuSeconds: 0, gpuUtilization: 90))
        }
        #expect(watch.verdict == .alive)
    }
}

@Suite struct DivergenceWatchTests {
    @Test func soManyStepsInARowAreTooMany() {
        var watch = DivergenceWatch(stepsMax: 3)
        #expect([1.0, .nan, .infinity].enumerated().map { watch.take(step: $0, loss: $1) } == [.sound, .sound, .sound])
        #expect(watch.take(step: 3, loss: -.infinity) == .diverged)
        #expect(watch.firstBadStep == 1 && watch.evidence.contains("from step 1"))
        #expect(watch.take(step: 4, loss: .nan) == .sound)
    }

    @Test func aFiniteStepStartsTheCountAnewAndAStepCountsOnce() {
        var watch = DivergenceWatch(stepsMax: 2)
        #expect([(1, Double.nan), (1, .nan), (2, 0.5), (3, .nan)].map { watch.take(step: $0, loss: $1) }.allSatisfy { $0 == .sound })
        #expect(watch.take(step: 4, loss: .nan) == .diverged)
    }
}

@Suite struct GPUFaultTests {
    @Test(arguments: [(79, true), (48, true), (74, true), (95, true), (119, true), (13, false), (31, false), (43, false), (63, false)])
    func theDriversCodesTellProgramsFromDevices(xid: Int, isOfDevice: Bool) {
        #expect(GPUFault(uuid: "g", xid: xid, kind: "xid", message: "", at: Timestamp(milliseconds: 0)).isOfDevice == isOfDevice)
    }
}
