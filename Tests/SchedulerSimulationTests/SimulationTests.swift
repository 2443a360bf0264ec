import Domain
import Scheduling
import Testing

@testable import SchedulerSimulation

@Suite struct SimulationTests {
    @Test func ourRulesHalveTheWaitOfFirstComeFirstServed() {
        var generator = TraceGenerator(jobs: 500, gpus: 16, seed: 3)
        let trace = generator.make()
        var fifo = Simulation(trace, gpus: 16, policy: .fifo)
        var ours = Simulation(trace, gpus: 16, policy: .standard)
        let (first, second) = (fifo.run(), ours.run())
        #expect(second.meanWait <= first.meanWait / 2)
        #expect(first.starved == 0 && second.starved == 0)
    }

    @Test func aTraceIsWrittenAndReadAlike() throws {
        var generator = TraceGenerator(jobs: 50, gpus: 8, seed: 1)
        let trace = generator.make()
        #expect(try TraceCSV.parse(TraceCSV.text(trace)) == trace)
    }

    @Test func theSameSeedGivesTheSameTrace() {
        var (first, second) = (TraceGenerator(jobs: 20, gpus: 8, seed: 5), TraceGenerator(jobs: 20, gpus: 8, seed: 5))
        #expect(first.make() == second.make())
    }

    @Test func aBrokenTraceIsRefusedWithItsLine() {
        for (text, place) in [
            ("", "empty"), ("submit,gpus\n1,2", "run_time"), ("submit,gpus,run_time,project,priority\n1,2,3,p,50\n1,x,3,p,50", "line 3"),
            ("submit,gpus,run_time,project,priority\n1,2", "line 2"),
        ] {
            let error = #expect(throws: TraceError.self) { try TraceCSV.parse(text) }
            #expect(error?.description.contains(place) == true)
        }
    }

    @Test func oneJobAfterTheOtherWaitsForItsTurn() {
        let jobs = [
            TraceJob(submit: 0, gpus: 1, runTime: 100, project: "p"), TraceJob(submit: 10, gpus: 1, runTime: 50, project: "p"),
        ]
        var simulation = Simulation(jobs, gpus: 1, policy: .standard)
        let result = simulation.run()
        #expect(result.longestWait == 90 && result.meanWait == 45 && result.utilization == 1)
    }
}
