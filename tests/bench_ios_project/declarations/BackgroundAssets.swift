// https://developer.apple.com/documentation/backgroundassets/assetpackmanager
import Foundation

public struct AssetPack: Sendable {}

/// Of the module System, which BackgroundAssets exports.
public struct FilePath: ExpressibleByStringLiteral, Sendable {
    public init(stringLiteral value: String) { fatalError() }
}

public actor AssetPackManager {
    public static let shared = AssetPackManager()

    public func assetPack(withID id: String) async throws -> AssetPack { fatalError() }
    public func ensureLocalAvailability(of pack: AssetPack) async throws { fatalError() }
    public nonisolated func url(for path: FilePath) throws -> URL { fatalError() }
}
