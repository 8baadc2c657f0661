// https://developer.apple.com/documentation/coregraphics
import Foundation

public enum CGColorSpaceModel: Int32 { case unknown = -1, monochrome, rgb, cmyk, lab, deviceN, indexed, pattern, XYZ }

public final class CGColorSpace { public var model: CGColorSpaceModel { fatalError() } }

public func CGColorSpaceCreateDeviceGray() -> CGColorSpace { fatalError() }
public func CGColorSpaceCreateDeviceRGB() -> CGColorSpace { fatalError() }

public enum CGImageAlphaInfo: UInt32 {
    case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst, alphaOnly
}

public enum CGInterpolationQuality: Int32 { case `default`, none, low, medium, high }

public final class CGImage {
    public var width: Int { fatalError() }
    public var height: Int { fatalError() }
    public var colorSpace: CGColorSpace? { fatalError() }
    public func copy(colorSpace: CGColorSpace) -> CGImage? { fatalError() }
}

public final class CGContext {
    public init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int, bytesPerRow: Int,
        space: CGColorSpace, bitmapInfo: UInt32
    ) { fatalError() }
    public var interpolationQuality: CGInterpolationQuality { get { fatalError() } set { fatalError() } }
    public func draw(_ image: CGImage, in rect: CGRect) { fatalError() }
}
