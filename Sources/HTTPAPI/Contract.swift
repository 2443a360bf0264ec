import CResources

/// The contract of the API as the binary carries it.
enum Contract {
    /// The text of openapi.yaml.
    static let bytes = Array(UnsafeBufferPointer(start: cresources_openapi, count: cresources_openapi_length))
}
