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
        /// Those whose last parameter is all the segments that are left, one at least.
        var restRoutes: [Route] = []
    }

    private let root = Node()

    init(_ routes: [Route]) {
        for route in routes {
            var node = root
            let segments = route.path.split(separator: "/")
            let takesRest = segments.last == "{path+}"
            for segment in takesRest ? segments.dropLast() : segments[...] {
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
            if takesRest { node.restRoutes.append(route) } else { node.routes.append(route) }
        }
    }

    /// - Parameter segments: the percent-decoded segments of the path.
    func match(method: HTTPMethod, segments: [Substring]) -> Match {
        var node = root
        var parameters: [String] = []
        for (index, segment) in segments.enumerated() {
            if let next = node.literals[segment] {
                node = next
            } else if let next = node.parameter, !segment.isEmpty {
                parameters.append(String(segment))
                node = next
            } else if !node.restRoutes.isEmpty {
                return choose(node.restRoutes, method, parameters + [segments[index...].joined(separator: "/")])
            } else {
                return .unknownPath
            }
        }
        return choose(node.routes, method, parameters)
    }

    /// Of the routes of one path that of the method.
    private func choose(_ routes: [Route], _ method: HTTPMethod, _ parameters: [String]) -> Match {
        guard !routes.isEmpty else { return .unknownPath }
        if let route = routes.first(where: { $0.method == method }) { return .route(route, parameters: parameters) }
        // RFC 9110 section 9.3.2: HEAD is GET without the body.
        if method == .head, let route = routes.first(where: { $0.method == .get }) { return .route(route, parameters: parameters) }
        let allowed = routes.map(\.method.rawValue) + (routes.contains { $0.method == .get } ? ["HEAD"] : [])
        return .wrongMethod(allowed: allowed.sorted())
    }
}
