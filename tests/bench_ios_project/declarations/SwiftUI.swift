// https://developer.apple.com/documentation/swiftui
@MainActor
public protocol Scene {}
@MainActor
public protocol View {}

@resultBuilder
public enum SceneBuilder { public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content } }
@resultBuilder
public enum ViewBuilder { public static func buildBlock<Content: View>(_ content: Content) -> Content { content } }

@MainActor
public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}
extension App { public static func main() { fatalError() } }

public struct WindowGroup<Content: View>: Scene {
    public init(@ViewBuilder content: () -> Content) { fatalError() }
}

public struct Text: View { public init(_ content: String) { fatalError() } }

extension View {
    public func onAppear(perform action: (() -> Void)? = nil) -> some View { self }
}
