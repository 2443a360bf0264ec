// swift-tools-version: 6.2
import PackageDescription

// Targets depend only downwards, layer by layer: C bridges, mechanism, domain, storage and hands, use cases, edge, programs.
// `swift build --explicit-target-dependency-import-check error` holds imports to what is declared here.

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
    name: "anneal",
    products: [
        .executable(name: "anneald", targets: ["anneald"]),
        .executable(name: "anneal", targets: ["anneal"]),
        .executable(name: "anneal-simulator", targets: ["anneal-simulator"]),
        .executable(name: "anneal-shim", targets: ["anneal-shim"]),
        .executable(name: "anneal-worker", targets: ["anneal-worker"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C bridges
        .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CLLHTTP"),
        .target(name: "CPosix"),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "CResources", cSettings: [.unsafeFlags(["-std=c2x"])]),

        // Mechanism
        .target(name: "Archive"),
        .target(name: "JSON", dependencies: [collections]),
        .target(name: "EventLoop", dependencies: ["CUV", deque]),
        .target(name: "HTTPServer", dependencies: ["EventLoop", "CUV", "CLLHTTP", deque]),
        .target(name: "HTTPClient", dependencies: ["EventLoop", "CUV", "CCurl"]),

        // Domain
        .target(name: "Domain", dependencies: ["JSON"]),
        .target(name: "Specification", dependencies: ["Domain", "JSON", yams, collections]),
        .target(name: "Scheduling", dependencies: ["Domain"]),
        .target(name: "SchedulerSimulation", dependencies: ["Domain", "Scheduling"]),
        .target(name: "Diagnosis", dependencies: ["CResources", "Domain", "JSON"], exclude: ["causes.json"]),
        .target(name: "APITypes", dependencies: ["JSON", collections]),
        .target(name: "Terminal"),
        .target(name: "Curves"),

        // Storage and hands
        .target(name: "Store", dependencies: ["CResources", "Curves", "Domain", "JSON", grdb, crypto]),
        .target(name: "Supervision", dependencies: ["Domain", "JSON", "EventLoop", "CPosix"]),
        .target(name: "Slurm", dependencies: ["CPosix", "Domain", "EventLoop", "HTTPClient", "JSON", "Supervision"]),
        .target(name: "Devices", dependencies: ["Domain", "CPosix", "JSON"]),
        .target(name: "Telemetry", dependencies: ["Domain", "JSON", "EventLoop"]),
        .target(name: "Datasets", dependencies: ["CPosix", "Domain", "EventLoop", "JSON", crypto]),
        .target(name: "Evaluation", dependencies: ["Domain", "JSON"]),
        .target(name: "Packing", dependencies: ["JSON"]),
        .target(name: "WebDataset", dependencies: ["Archive", "CSQLite", "Datasets", "JSON"]),
        .target(name: "Generation", dependencies: ["CPosix", "Datasets", "Domain", "EventLoop", "Evaluation", "HTTPClient", "JSON"]),

        // Use cases
        .target(
            name: "Service",
            dependencies: [
                "APITypes", "Archive", "Curves", "Datasets", "Devices", "Diagnosis", "Domain", "Evaluation", "EventLoop", "JSON",
                "Scheduling", "Specification",
                "HTTPClient", "Slurm", "Store", "Supervision", "Telemetry",
                crypto, deque, logging,
            ]),

        // Edge
        .target(
            name: "HTTPAPI",
            dependencies: [
                "APITypes", "CResources", "Curves", "Domain", "EventLoop", "HTTPServer", "JSON", "Service", "Specification", "Store",
                crypto, logging,
            ]),

        // Programs
        .executableTarget(
            name: "anneald",
            dependencies: [
                "Devices", "Diagnosis", "Domain", "EventLoop", "HTTPAPI", "HTTPServer", "JSON", "Service", "Specification", "Store",
                argumentParser,
                logging, yams,
            ]),
        .executableTarget(
            name: "anneal",
            dependencies: [
                "APITypes", "Datasets", "Domain", "EventLoop", "HTTPClient", "JSON", "Specification", "Terminal", argumentParser,
            ]),
        .executableTarget(name: "anneal-simulator", dependencies: ["Domain", "Scheduling", "SchedulerSimulation", argumentParser]),
        .executableTarget(name: "anneal-shim", dependencies: ["CPosix", "Devices", "JSON"]),
        .executableTarget(
            name: "anneal-worker",
            dependencies: [
                "CPosix", "Datasets", "Domain", "Evaluation", "EventLoop", "Generation", "HTTPClient", "JSON", "Packing", "Specification",
                "WebDataset",
            ]),

        // Tests
        .testTarget(name: "ArchiveTests", dependencies: ["Archive"]),
        .testTarget(name: "APITypesTests", dependencies: ["APITypes", "JSON"]),
        .testTarget(
            name: "CLITests", dependencies: ["APITypes", "JSON", "Terminal", "anneal"], exclude: ["scripted_server.py", "terminal_run.py"]),
        .testTarget(name: "CurvesTests", dependencies: ["Curves"]),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "JSON"], exclude: ["reference_seed.py"]),
        .testTarget(name: "DevicesTests", dependencies: ["Devices", "Domain"]),
        .testTarget(name: "DiagnosisTests", dependencies: ["Diagnosis", "Domain", "JSON"]),
        .testTarget(name: "DomainTests", dependencies: ["Domain", "JSON"]),
        .testTarget(name: "EvaluationTests", dependencies: ["Evaluation", "JSON"]),
        .testTarget(name: "EventLoopTests", dependencies: ["EventLoop"]),
        .testTarget(name: "HTTPClientTests", dependencies: ["EventLoop", "HTTPClient", "HTTPServer"]),
        .testTarget(name: "HTTPServerTests", dependencies: ["EventLoop", "HTTPServer"]),
        .testTarget(name: "JSONTests", dependencies: ["JSON"]),
        .testTarget(name: "PackingTests", dependencies: ["JSON", "Packing"]),
        .testTarget(name: "SchedulerSimulationTests", dependencies: ["Domain", "SchedulerSimulation", "Scheduling"]),
        .testTarget(name: "SchedulingTests", dependencies: ["Domain", "Scheduling"]),
        .testTarget(
            name: "ServiceTests",
            dependencies: [
                "APITypes", "Archive", "Devices", "Diagnosis", "Domain", "EventLoop", "JSON", "Service", "Store", "Supervision",
                "anneal-shim",
                logging,
            ]),
        .testTarget(name: "SlurmTests", dependencies: ["Domain", "JSON", "Slurm"]),
        .testTarget(name: "SpecificationTests", dependencies: ["Domain", "JSON", "Specification"]),
        .testTarget(name: "StoreTests", dependencies: ["Curves", "Domain", "JSON", "Store"]),
        .testTarget(name: "SupervisionTests", dependencies: ["CPosix", "EventLoop", "JSON", "Supervision", "anneal-shim"]),
        .testTarget(name: "TelemetryTests", dependencies: ["EventLoop", "JSON", "Telemetry"]),
        .testTarget(name: "TerminalTests", dependencies: ["Terminal"]),
        .testTarget(name: "WebDatasetTests", dependencies: ["Datasets", "JSON", "WebDataset"], exclude: ["check_shards.py"]),
        .testTarget(
            name: "WorkerTests",
            dependencies: ["Domain", "EventLoop", "Generation", "JSON", "anneal-worker"],
            exclude: ["fake_server.py", "mock_server.py", "tiny_model.py"]),
    ],
    swiftLanguageModes: [.v6]
)
