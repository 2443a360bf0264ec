// Readings beyond those that say whether a GPU is in use: what it is held back by, and what goes over its links.
extension NVML {
    private typealias ClockCall = @convention(c) (Handle, UInt32, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias WordCall = @convention(c) (Handle, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias LongCall = @convention(c) (Handle, UnsafeMutablePointer<UInt64>) -> Int32
    private typealias FieldsCall = @convention(c) (Handle, Int32, UnsafeMutableRawPointer) -> Int32
    private typealias EccCall = @convention(c) (Handle, UInt32, UInt32, UnsafeMutablePointer<UInt64>) -> Int32

    /// NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX and _RX: KiB since the driver was loaded, over all links.
    private static let linkFields: [UInt32] = [138, 139]
    private static let allLinks = UInt32.max
    /// `nvmlFieldValue_t`: id, scope, time and latency (8 bytes each), type, return code, value (8).
    private static let fieldBytes = 40

    /// Adds clocks, throttling, link traffic and corrected errors.
    func readDetails(_ device: GPUDevice, _ handle: Handle) -> GPUDevice {
        var device = device
        device.smClockMHz = clock(handle, 1)  // NVML_CLOCK_SM
        device.memoryClockMHz = clock(handle, 2)  // NVML_CLOCK_MEM
        device.throttleReasons = long("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
        device.pcieTransmitKBps = counter("nvmlDeviceGetPcieThroughput", handle, 0)  // NVML_PCIE_UTIL_TX_BYTES
        device.pcieReceiveKBps = counter("nvmlDeviceGetPcieThroughput", handle, 1)  // NVML_PCIE_UTIL_RX_BYTES
        (device.nvlinkTransmitKiB, device.nvlinkReceiveKiB) = linkTraffic(handle)
        device.correctedErrors = correctedErrors(handle)
        device.hasPersistence = hasPersistence(handle)
        return device
    }

    private func clock(_ handle: Handle, _ kind: UInt32) -> Int? { counter("nvmlDeviceGetClockInfo", handle, kind) }

    private func counter(_ name: String, _ handle: Handle, _ kind: UInt32) -> Int? {
        var number: UInt32 = 0
        guard let call = function(name, as: ClockCall.self), call(handle, kind, &number) == Self.success else { return nil }
        return Int(number)
    }

    private func long(_ name: String, _ handle: Handle) -> UInt64? {
        var number: UInt64 = 0
        guard let call = function(name, as: LongCall.self), call(handle, &number) == Self.success else { return nil }
        return number
    }

    private func hasPersistence(_ handle: Handle) -> Bool? {
        var mode: UInt32 = 0
        let call = function("nvmlDeviceGetPersistenceMode", as: WordCall.self)
        guard let call, call(handle, &mode) == Self.success else { return nil }
        return mode == 1  // NVML_FEATURE_ENABLED
    }

    private func correctedErrors(_ handle: Handle) -> Int? {
        var number: UInt64 = 0
        // NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_VOLATILE_ECC.
        guard let call = function("nvmlDeviceGetTotalEccErrors", as: EccCall.self), call(handle, 0, 0, &number) == Self.success else {
            return nil
        }
        return Int(clamping: number)
    }

    private func linkTraffic(_ handle: Handle) -> (Int?, Int?) {
        guard let call = function("nvmlDeviceGetFieldValues", as: FieldsCall.self) else { return (nil, nil) }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.linkFields.count * Self.fieldBytes, alignment: 8)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        for (index, field) in Self.linkFields.enumerated() {
            bytes.storeBytes(of: field, toByteOffset: index * Self.fieldBytes, as: UInt32.self)
            bytes.storeBytes(of: Self.allLinks, toByteOffset: index * Self.fieldBytes + 4, as: UInt32.self)
        }
        guard let base = bytes.baseAddress, call(handle, Int32(Self.linkFields.count), base) == Self.success else { return (nil, nil) }
        func value(_ index: Int) -> Int? {
            let offset = index * Self.fieldBytes
            guard bytes.load(fromByteOffset: offset + 28, as: Int32.self) == Self.success else { return nil }
            return Int(clamping: bytes.load(fromByteOffset: offset + 32, as: UInt64.self))
        }
        return (value(0), value(1))
    }
}
