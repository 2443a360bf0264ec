import HTTPServer

/// Finds the route of a request: a tree over path segments, built once from the route table.
struct Router {
    enum Match {
        case route(Route, parameters: [String])
        /// The path exists, but not for this method.
        case wrongMethod(allowed: [String])
        case unknownPath
    }

    private final class Node {
        var literals: [Substring: Node] = [:]
        var parameter: Node?
        var routes: [Route] = []
        /// Whether its routes' last parameter is all the segments that are left.
        var takesRest = false
    }

    private let root = Node()

    init(_ routes: [Route]) {
        for route in routes {
            var node = root
            for segment in route.path.split(separator: "/") {
                if segment == "{path+}" {
                    node.takesRest = true
                    break
                }
                if segment.hasPrefix("{") {
                    let next = node.parameter ?? Node()
                    node.parameter = next
                    node = next
                } else {
                    let next = node.literals[segment] ?? Node()
                    node.literals[segment] = next
                    node = next
                }
            }
            node.routes.append(route)
        }
    }

    /// - Parameter segments: the percent-decoded segments of the path.
    func match(method: HTTPMethod, segments: [Substring]) -> Match {
        var node = root
        var parameters: [String] = []
        for (index, segment) in segments.enumerated() {
            if node.takesRest {
                parameters.append(segments[index...].joined(separator: "/"))
                break
            }
            if let next = node.literals[segment] {
                node = next
            } else if let next = node.parameter, !segment.isEmpty {
                parameters.append(String(segment))
                node = next
            } else {
                return .unknownPath
            }
        }
        guard !node.routes.isEmpty else { return .unknownPath }
        if let route = node.routes.first(where: { $0.method == method }) { return .route(route, parameters: parameters) }
        // RFC 9110 section 9.3.2: HEAD is GET without the body.
        if method == .head, let route = node.routes.first(where: { $0.method == .get }) { return .route(route, parameters: parameters) }
        let allowed = node.routes.map(\.method.rawValue) + (node.routes.contains { $0.method == .get } ? ["HEAD"] : [])
        return .wrongMethod(allowed: allowed.sorted())
    }
}
