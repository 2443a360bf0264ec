import Glibc

// Where GPUs are, how they reach each other, and what they are divided into.
extension NVML {
    private typealias ByUUIDCall = @convention(c) (UnsafePointer<CChar>, UnsafeMutablePointer<Handle?>) -> Int32
    private typealias PeerCall = @convention(c) (Handle, Handle, UInt32, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias ModeCall = @convention(c) (Handle, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias PartCountCall = @convention(c) (Handle, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias PartCall = @convention(c) (Handle, UInt32, UnsafeMutablePointer<Handle?>) -> Int32
    private typealias ErrorCountCall = @convention(c) (Handle, UInt32, UInt32, UnsafeMutablePointer<UInt64>) -> Int32
    private typealias RemappedCall =
        @convention(c) (
            Handle, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>
        ) -> Int32

    /// The handle of a GPU or of a MIG device.
    func handle(uuid: String) -> Handle? {
        var handle: Handle?
        guard let call = function("nvmlDeviceGetHandleByUUID", as: ByUUIDCall.self), call(uuid, &handle) == Self.success else { return nil }
        return handle
    }

    /// From the PCI slot. `nvmlPciInfo_t`: 16 bytes of the old id, five numbers of 4 bytes, and 32 bytes of id such as `00000000:65:00.0`.
    func numaNode(_ handle: Handle) -> Int? {
        let slot = structure("nvmlDeviceGetPciInfo_v3", of: handle, byteCount: 68) { bytes in
            String(decoding: bytes[36..<68].prefix { $0 != 0 }, as: UTF8.self).lowercased()
        }
        // sysfs writes the domain with four digits where NVML uses eight.
        guard let slot, slot.utf8.count > 12, let text = SmallFile.text(of: "/sys/bus/pci/devices/\(slot.suffix(12))/numa_node"),
            let node = Int(text.split(separator: "\n").first ?? "")
        else { return nil }
        return node >= 0 ? node : nil
    }

    /// A number for each GPU; equal where NVLink leads from one to the other, directly or over others. `nil` where it has none.
    func nvlinkIslands(_ handles: [Handle]) -> [Int?] {
        let overNVLink: UInt32 = 2  // NVML_P2P_CAPS_INDEX_NVLINK
        var islands = [Int?](repeating: nil, count: handles.count)
        guard let call = function("nvmlDeviceGetP2PStatus", as: PeerCall.self) else { return islands }
        for first in handles.indices {
            for second in handles.indices where second > first {
                var status: UInt32 = 1
                guard call(handles[first], handles[second], overNVLink, &status) == Self.success, status == 0 else { continue }
                let island = islands[first] ?? islands[second] ?? first
                let joined = [islands[first], islands[second]].compactMap(\.self)
                for index in islands.indices where islands[index].map(joined.contains) == true { islands[index] = island }
                islands[first] = island
                islands[second] = island
            }
        }
        return islands
    }

    /// The MIG devices of a GPU; empty where it is not divided.
    func migDevices(of handle: Handle) -> [Handle] {
        var (current, pending, count): (UInt32, UInt32, UInt32) = (0, 0, 0)
        guard let mode = function("nvmlDeviceGetMigMode", as: ModeCall.self), mode(handle, &current, &pending) == Self.success,
            current == 1,
            let countCall = function("nvmlDeviceGetMaxMigDeviceCount", as: PartCountCall.self), countCall(handle, &count) == Self.success,
            let partCall = function("nvmlDeviceGetMigDeviceHandleByIndex", as: PartCall.self)
        else { return [] }
        return (0..<count).compactMap { index in
            var part: Handle?
            return partCall(handle, index, &part) == Self.success ? part : nil
        }
    }

    func uncorrectedErrors(_ handle: Handle) -> Int? {
        var count: UInt64 = 0
        let (uncorrected, sinceLoad): (UInt32, UInt32) = (1, 0)  // NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC
        guard let call = function("nvmlDeviceGetTotalEccErrors", as: ErrorCountCall.self),
            call(handle, uncorrected, sinceLoad, &count) == Self.success
        else { return nil }
        return Int(clamping: count)
    }

    func hasRemappingFailure(_ handle: Handle) -> Bool {
        var (corrected, uncorrected, isPending, hasFailed): (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        guard let call = function("nvmlDeviceGetRemappedRows", as: RemappedCall.self),
            call(handle, &corrected, &uncorrected, &isPending, &hasFailed) == Self.success
        else { return false }
        return hasFailed != 0
    }
}
