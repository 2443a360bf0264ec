import Devices
import Domain
import Glibc
import Store

/// The daemon's own figures in Prometheus' text format 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    /// Adds one metric family.
    mutating func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
            text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)\n"
        }
    }

    /// Label values escape the back-slash, the double quote and the line feed.
    private static func escaped(_ value: String) -> String {
        value.map { character in
            switch character {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(character)
            }
        }.joined()
    }
}

extension AnnealService {
    /// What `/metrics` serves.
    public func prometheusMetrics() async throws -> String {
        let (statistics, counts) = try await store.read { (try $0.statistics(), try $0.jobCounts()) }
        var page = PrometheusText()
        page.family("anneal_build_info", "gauge", "The version that runs.", [([("version", configuration.version)], 1)])
        page.family("anneal_start_time_seconds", "gauge", "When the daemon started.", [([], Double(startedAt.milliseconds) / 1000)])
        page.family("anneal_jobs", "gauge", "Jobs by state.", JobState.allCases.map { ([("state", $0.rawValue)], Double(counts[$0] ?? 0)) })
        page.family("anneal_attempts_live", "gauge", "Attempts whose worker may be alive.", [([], Double(statistics.liveAttempts))])
        page.family("anneal_database_bytes", "gauge", "Size of the database.", [([], Double(statistics.databaseBytes))])
        page.family("anneal_events_total", "counter", "Events ever recorded.", [([], Double(statistics.lastEventSeq))])
        page.family(
            "anneal_gpus", "gauge", "GPUs by whether a job holds them.",
            [
                ([("state", "held")], Double(gpuHolders.count)),
                ([("state", "free")], Double(capacity.gpus.count - gpuHolders.count)),
            ])
        page.family(
            "anneal_cpus", "gauge", "CPU cores by whether a job holds them.",
            [
                ([("state", "held")], Double(heldCPUs)), ([("state", "free")], Double(capacity.cpus - heldCPUs)),
            ])
        page.family(
            "anneal_store_commits_total", "counter", "Transactions that reached the disk.", [([], Double(store.counters.commits))])
        page.family(
            "anneal_points_total", "counter", "Points of metrics taken since the daemon started, repeated ones not counted.",
            [([], Double(store.counters.points))])
        page.family("anneal_streams", "gauge", "Clients that listen to events.", [([], Double(hub.listenerCount))])
        page.family("anneal_store_queue", "gauge", "Writes that wait for the disk.", [([], Double(store.queuedWrites))])
        page.family("anneal_resident_bytes", "gauge", "Main memory of the daemon itself.", [([], Double(Self.residentBytes()))])
        addDevices(to: &page)
        return page.text
    }

    /// proc_pid_statm(5): the second number is the resident set, in pages.
    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
    }

    /// The readings of the last sample, under NVIDIA's exporter's units and the names that NeMo RL scrapes (RL nemo_rl/utils/logger.py).
    private func addDevices(to page: inout PrometheusText) {
        guard let sample = history.latest else { return }
        let holders = gpuHolders
        typealias Reading = (GPUDevice) -> Double?
        func gpus(_ name: String, _ help: String, type: String = "gauge", _ value: Reading) {
            let samples = sample.gpus.compactMap { gpu in
                value(gpu).map { reading in
                    (
                        labels: [
                            ("gpu", String(gpu.index)), ("uuid", gpu.uuid), ("simulated", String(gpu.isSimulated)),
                            ("job", holders[gpu.uuid]?.first?.jobID ?? ""),
                        ], value: reading
                    )
                }
            }
            if !samples.isEmpty { page.family(name, type, help, samples) }
        }
        gpus("anneal_gpu_utilization_ratio", "Part of the time in which a kernel ran.") { $0.utilization.map { Double($0) / 100 } }
        gpus("anneal_gpu_memory_used_bytes", "In use by whomever.") { $0.memoryUsedBytes.map(Double.init) }
        gpus("anneal_gpu_memory_total_bytes", "Of the device.") { Double($0.memoryBytes) }
        gpus("anneal_gpu_power_watts", "Drawn now.") { $0.powerMilliwatts.map { Double($0) / 1000 } }
        gpus("anneal_gpu_temperature_celsius", "Of the chip.") { $0.temperature.map(Double.init) }
        gpus("anneal_gpu_sm_clock_hertz", "Of the multiprocessors.") { $0.smClockMHz.map { Double($0) * 1e6 } }
        gpus("anneal_gpu_memory_clock_hertz", "Of the memory.") { $0.memoryClockMHz.map { Double($0) * 1e6 } }
        gpus("anneal_gpu_throttle_reasons", "What holds the clocks down, as NVML's bits.") { $0.throttleReasons.map { Double($0) } }
        // HwSlowdown, SwThermalSlowdown, HwThermalSlowdown and HwPowerBrakeSlowdown of nvml.h; an idle GPU and one at its power limit are well.
        let trouble: UInt64 = 0x8 | 0x20 | 0x40 | 0x80
        gpus("anneal_gpu_throttled", "1 where heat or the power supply hold the clocks down.") {
            $0.throttleReasons.map { $0 & trouble == 0 ? 0 : 1 }
        }
        gpus("anneal_gpu_pcie_transmit_bytes_per_second", "Over PCIe.") { $0.pcieTransmitKBps.map { Double($0) * 1000 } }
        gpus("anneal_gpu_pcie_receive_bytes_per_second", "Over PCIe.") { $0.pcieReceiveKBps.map { Double($0) * 1000 } }
        gpus("anneal_gpu_nvlink_transmit_bytes_total", "Over NVLink.", type: "counter") { $0.nvlinkTransmitKiB.map { Double($0) * 1024 } }
        gpus("anneal_gpu_nvlink_receive_bytes_total", "Over NVLink.", type: "counter") { $0.nvlinkReceiveKiB.map { Double($0) * 1024 } }
        gpus("anneal_gpu_ecc_uncorrected_total", "Memory errors that could not be corrected.", type: "counter") {
            $0.uncorrectedErrors.map(Double.init)
        }
        gpus("anneal_gpu_ecc_corrected_total", "Memory errors that were corrected.", type: "counter") {
            $0.correctedErrors.map(Double.init)
        }
        gpus("ray_node_gpus_utilization", "As Ray's exporter says it: percent.") { $0.utilization.map(Double.init) }
        gpus("ray_node_gram_used", "As Ray's exporter says it: megabytes.") { $0.memoryUsedBytes.map { Double($0) / Double(1 << 20) } }
        let host = sample.host
        page.family("ray_node_mem_used", "gauge", "Main memory in use, in bytes.", [([], Double(host.memoryUsed))])
        page.family("ray_node_mem_total", "gauge", "Main memory, in bytes.", [([], Double(host.memoryTotal))])
        page.family(
            "anneal_host_cpu_seconds_total", "counter", "Time of all cores.",
            [([("mode", "idle")], host.cpuIdleSeconds), ([("mode", "busy")], host.cpuSeconds - host.cpuIdleSeconds)])
        page.family(
            "anneal_host_disk_bytes_total", "counter", "To and from disks.",
            [([("direction", "read")], Double(host.diskRead)), ([("direction", "written")], Double(host.diskWritten))])
        page.family(
            "anneal_host_network_bytes_total", "counter", "Over networks, the loopback left out.",
            [([("direction", "received")], Double(host.networkReceived)), ([("direction", "sent")], Double(host.networkSent))])
        page.family("anneal_data_free_bytes", "gauge", "Free where the data folder lies.", [([], Double(host.dataFree))])
        let pressures = [("cpu", host.pressureCPU), ("memory", host.pressureMemory), ("io", host.pressureIO)]
        let known = pressures.compactMap { name, value in value.map { (labels: [("resource", name)], value: $0 / 100) } }
        if !known.isEmpty {
            page.family("anneal_host_pressure_ratio", "gauge", "Part of the last ten seconds in which something waited for it.", known)
        }
    }
}
