// Why a bundle is refused: the codes of edgekit/release/reasons.json, the same in Python, Kotlin and Swift.

public enum Reason: String, CaseIterable, Sendable {
    case unsigned
    case signatureDamaged = "signature-damaged"
    case wrongKey = "wrong-key"
    case certificateRefused = "certificate-refused"
    case statementUnknown = "statement-unknown"
    case fileChanged = "file-changed"
    case fileMissing = "file-missing"
    case fileExtra = "file-extra"
    case notAPlainFile = "not-a-plain-file"
    case badName = "bad-name"
    case duplicateName = "duplicate-name"
    case nameCollision = "name-collision"
    case truncated
    case archiveDamaged = "archive-damaged"
    case compressedMember = "compressed-member"
    case tooLarge = "too-large"
    case tooManyFiles = "too-many-files"
    case schema
    case wrongName = "wrong-name"
    case downgraded
    case wrongSpace = "wrong-space"
    case wrongIndex = "wrong-index"
    case selfTestFailed = "self-test-failed"
}

/// A bundle that must not be used: why, and where it was seen.
public struct Refusal: Error, Equatable, CustomStringConvertible {
    public let reason: Reason
    public let detail: String

    init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = shown(detail, most: 200)
    }

    public var description: String { "\(reason.rawValue): \(detail): get an unchanged copy from its publisher" }
}

/// The bounds and words of edgekit/release/limits.json.
enum Limits {
    static let signatureBytes = 4_194_304
    static let documentBytes = 4_194_304
    static let depth = JSON.deepest
    static let files = 4_096
    static let totalBytes = 2_147_483_648
    static let signatureName = "model.sig"
    static let archiveSignatureSuffix = ".sig"
    static let mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
    static let payloadType = "application/vnd.in-toto+json"
    static let statementType = "https://in-toto.io/Statement/v1"
    static let predicateType = "https://model_signing/signature/v1.0"
    static let serializationMethod = "files"
    static let algorithm = "sha256"
}
