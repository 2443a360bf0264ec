import Glibc

/// A call of NVML that failed where the driver is present.
public struct NVMLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The function that failed, such as `nvmlDeviceGetCount_v2`.
    public var call: String
    /// A value of `nvmlReturn_t`.
    public var code: Int32
    public var message: String

    public var description: String { "\(call): \(message) (\(code))" }
}

/// The NVIDIA Management Library, found at run time: a machine without it is a machine without GPUs.
///
/// The functions and structures are those of nvml.h, CUDA 12 and 13. `nvmlDevice_t` is an opaque pointer.
final class NVML: Sendable {
    /// Why there is no library to ask.
    struct Absence: Error {
        var reason: String
    }

    typealias Handle = OpaquePointer
    private typealias PlainCall = @convention(c) () -> Int32
    private typealias CountCall = @convention(c) (UnsafeMutablePointer<UInt32>) -> Int32
    private typealias HandleCall = @convention(c) (UInt32, UnsafeMutablePointer<Handle?>) -> Int32
    private typealias TextCall = @convention(c) (Handle, UnsafeMutablePointer<CChar>, UInt32) -> Int32
    private typealias SystemTextCall = @convention(c) (UnsafeMutablePointer<CChar>, UInt32) -> Int32
    private typealias StructureCall = @convention(c) (Handle, UnsafeMutableRawPointer) -> Int32
    private typealias NumberCall = @convention(c) (Handle, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias SensorCall = @convention(c) (Handle, UInt32, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias ProcessesCall = @convention(c) (Handle, UnsafeMutablePointer<UInt32>, UnsafeMutableRawPointer?) -> Int32
    private typealias ErrorTextCall = @convention(c) (Int32) -> UnsafePointer<CChar>?

    static let success: Int32 = 0
    private static let noDriver: Int32 = 9  // NVML_ERROR_DRIVER_NOT_LOADED
    private static let insufficientSize: Int32 = 7  // NVML_ERROR_INSUFFICIENT_SIZE
    private static let textBytes = 96  // NVML_DEVICE_UUID_V2_BUFFER_SIZE and NVML_DEVICE_NAME_V2_BUFFER_SIZE
    /// `nvmlProcessInfo_t` as nvmlDeviceGetComputeRunningProcesses_v3 fills it: pid (4 bytes, 4 of padding), used memory (8), and the
    /// two MIG instances (4 each).
    private static let processBytes = 24
    private static let processesMax = 4_096

    /// From dlopen. Safe to share: it is only handed to dlsym, and NVML itself may be called from any thread.
    private nonisolated(unsafe) let library: UnsafeMutableRawPointer

    private init(library: UnsafeMutableRawPointer) { self.library = library }

    /// Loads and initialises the library. It stays loaded as long as the process lives, as its documentation advises.
    static func load(_ name: String = "libnvidia-ml.so.1") throws -> Result<NVML, Absence> {
        guard let library = dlopen(name, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? name
            return .failure(Absence(reason: "the NVIDIA management library cannot be loaded (\(reason))"))
        }
        let nvml = NVML(library: library)
        guard let initialize = nvml.function("nvmlInit_v2", as: PlainCall.self) else {
            return .failure(Absence(reason: "\(name) has no function nvmlInit_v2"))
        }
        let code = initialize()
        if code == noDriver { return .failure(Absence(reason: "the NVIDIA driver is not loaded")) }
        try nvml.check(code, "nvmlInit_v2")
        return .success(nvml)
    }

    /// The GPUs that this process may use, without readings.
    func devices() throws -> [GPUDevice] {
        var count: UInt32 = 0
        try check(required("nvmlDeviceGetCount_v2", as: CountCall.self)(&count), "nvmlDeviceGetCount_v2")
        let found = try (0..<Int(count)).map { index -> (GPUDevice, Handle) in
            let handle = try handle(index)
            let uuid = try requiredText("nvmlDeviceGetUUID", of: handle)
            let name = text("nvmlDeviceGetName", of: handle) ?? "NVIDIA GPU"
            var device = GPUDevice(index: index, uuid: uuid, name: name, memoryBytes: memory(handle)?.total ?? 0, isSimulated: false)
            device.numaNode = numaNode(handle)
            return (device, handle)
        }
        let islands = nvlinkIslands(found.map(\.1))
        var devices: [GPUDevice] = []
        for (position, (device, handle)) in found.enumerated() {
            var device = device
            device.nvlinkIsland = islands[position]
            let parts = migDevices(of: handle)
            // With MIG on, only the parts can compute.
            for part in parts.isEmpty ? [nil] : parts.map(Optional.some) {
                var entry = device
                if let part {
                    entry.uuid = try requiredText("nvmlDeviceGetUUID", of: part)
                    entry.name = text("nvmlDeviceGetName", of: part) ?? device.name
                    entry.memoryBytes = memory(part)?.total ?? 0
                    entry.parent = device.uuid
                }
                entry.index = devices.count
                devices.append(entry)
            }
        }
        return devices
    }

    /// `device` with what can be read of it now.
    func read(_ device: GPUDevice) -> GPUDevice {
        var device = device
        // A GPU that has fallen off the bus keeps its place in the list, without readings.
        guard let handle = handle(uuid: device.uuid) else {
            device.isLost = true
            return device
        }
        device.memoryUsedBytes = memory(handle)?.used
        device.utilization = utilization(handle)
        device.temperature = temperature(handle)
        device.powerMilliwatts = number("nvmlDeviceGetPowerUsage", of: handle)
        device.processes = processes(handle)
        device.uncorrectedErrors = uncorrectedErrors(handle)
        device.hasRemappingFailure = hasRemappingFailure(handle)
        return device
    }

    /// `device` with everything that can be read of it now; takes some tens of milliseconds where PCIe traffic is counted.
    func readAll(_ device: GPUDevice) -> GPUDevice {
        let device = read(device)
        return handle(uuid: device.uuid).map { readDetails(device, $0) } ?? device
    }

    /// The driver's version, such as `580.95.05`.
    func driverVersion() -> String? {
        guard let call = function("nvmlSystemGetDriverVersion", as: SystemTextCall.self) else { return nil }
        return Self.text { call($0, $1) }
    }

    // MARK: Readings

    private func handle(_ index: Int) throws -> Handle {
        var handle: Handle?
        let call = "nvmlDeviceGetHandleByIndex_v2"
        try check(required(call, as: HandleCall.self)(UInt32(index), &handle), call)
        guard let handle else { throw NVMLError(call: call, code: 0, message: "gave no handle") }
        return handle
    }

    /// Bytes of a GPU and those in use, as `nvidia-smi` shows them: what the driver keeps for itself is not in use.
    private func memory(_ handle: Handle) -> (total: Int64, used: Int64)? {
        // nvmlMemory_v2_t: version (4), total, reserved, free and used (8 each from 8 on). Older drivers have the first version alone, which
        // is total, free and used, and counts the reserved part as used.
        let size = 40
        let version = UInt32(size | 2 << 24)
        func number(_ bytes: UnsafeMutableRawBufferPointer, _ offset: Int) -> Int64 {
            Int64(clamping: bytes.load(fromByteOffset: offset, as: UInt64.self))
        }
        let newer = structure("nvmlDeviceGetMemoryInfo_v2", of: handle, byteCount: size, version: version) {
            (number($0, 8), number($0, 32))
        }
        return newer ?? structure("nvmlDeviceGetMemoryInfo", of: handle, byteCount: 24) { (number($0, 0), number($0, 16)) }
    }

    /// `nvmlUtilization_t`: percent of GPU, percent of memory, 4 bytes each.
    private func utilization(_ handle: Handle) -> Int? {
        structure("nvmlDeviceGetUtilizationRates", of: handle, byteCount: 8) { Int($0.load(as: UInt32.self)) }
    }

    private func temperature(_ handle: Handle) -> Int? {
        let sensorOfTheChip: UInt32 = 0  // NVML_TEMPERATURE_GPU
        var degrees: UInt32 = 0
        guard let call = function("nvmlDeviceGetTemperature", as: SensorCall.self),
            call(handle, sensorOfTheChip, &degrees) == Self.success
        else { return nil }
        return Int(degrees)
    }

    private func processes(_ handle: Handle) -> [GPUDevice.Process]? {
        guard let call = function("nvmlDeviceGetComputeRunningProcesses_v3", as: ProcessesCall.self) else { return nil }
        var capacity: UInt32 = 64
        while capacity <= Self.processesMax {
            var count = capacity
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(capacity) * Self.processBytes, alignment: 8)
            defer { bytes.deallocate() }
            let code = call(handle, &count, bytes.baseAddress)
            if code == Self.success { return (0..<Int(min(count, capacity))).map { Self.process($0, of: bytes) } }
            guard code == Self.insufficientSize else { return nil }
            // The count needed, and some more for processes that start meanwhile.
            capacity = max(count, capacity) * 2
        }
        return nil
    }

    private static func process(_ index: Int, of bytes: UnsafeMutableRawBufferPointer) -> GPUDevice.Process {
        let pid = bytes.load(fromByteOffset: index * processBytes, as: UInt32.self)
        let memory = bytes.load(fromByteOffset: index * processBytes + 8, as: UInt64.self)
        // NVML_VALUE_NOT_AVAILABLE is all ones.
        return GPUDevice.Process(pid: Int32(bitPattern: pid), memoryBytes: memory == .max ? nil : Int64(clamping: memory))
    }

    // MARK: Calls

    func structure<Value>(
        _ name: String, of handle: Handle, byteCount: Int, version: UInt32? = nil, _ body: (UnsafeMutableRawBufferPointer) -> Value
    ) -> Value? {
        guard let call = function(name, as: StructureCall.self) else { return nil }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
        defer { bytes.deallocate() }
        if let version {
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            bytes.storeBytes(of: version, as: UInt32.self)
        }
        guard let base = bytes.baseAddress, call(handle, base) == Self.success else { return nil }
        return body(bytes)
    }

    private func number(_ name: String, of handle: Handle) -> Int? {
        var number: UInt32 = 0
        guard let call = function(name, as: NumberCall.self), call(handle, &number) == Self.success else { return nil }
        return Int(number)
    }

    private func text(_ name: String, of handle: Handle) -> String? {
        guard let call = function(name, as: TextCall.self) else { return nil }
        return Self.text { call(handle, $0, $1) }
    }

    private func requiredText(_ name: String, of handle: Handle) throws -> String {
        guard let text = text(name, of: handle) else { throw NVMLError(call: name, code: 0, message: "gave no text") }
        return text
    }

    private static func text(_ call: (UnsafeMutablePointer<CChar>, UInt32) -> Int32) -> String? {
        var buffer = [CChar](repeating: 0, count: textBytes)
        let code = buffer.withUnsafeMutableBufferPointer { characters in
            characters.baseAddress.map { call($0, UInt32(textBytes)) } ?? -1
        }
        guard code == success else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `nil` where this driver's library does not have the function.
    func function<Function>(_ name: String, as type: Function.Type) -> Function? {
        // The type is that of nvml.h: a C function pointer, which is a plain address.
        dlsym(library, name).map { unsafeBitCast($0, to: type) }
    }

    private func required<Function>(_ name: String, as type: Function.Type) throws -> Function {
        guard let function = function(name, as: type) else { throw NVMLError(call: name, code: 0, message: "is missing in the library") }
        return function
    }

    private func check(_ code: Int32, _ call: String) throws {
        guard code != Self.success else { return }
        let text = function("nvmlErrorString", as: ErrorTextCall.self)?(code).map { String(cString: $0) }
        throw NVMLError(call: call, code: code, message: text ?? "failed")
    }
}
