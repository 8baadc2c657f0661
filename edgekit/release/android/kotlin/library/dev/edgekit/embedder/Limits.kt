package dev.edgekit.embedder

/** What all verifiers have alike. Its source is edgekit/release/limits.json; a test compares. */
internal object Limits {
    const val SIGNATURE_BYTES = 4_194_304L
    const val DOCUMENT_BYTES = 4_194_304L
    const val FILES = 4_096
    const val TOTAL_BYTES = 2_147_483_648L
    const val SIGNATURE_NAME = "model.sig"
    const val MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
    const val PAYLOAD_TYPE = "application/vnd.in-toto+json"
    const val STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
    const val PREDICATE_TYPE = "https://model_signing/signature/v1.0"
    const val SERIALIZATION_METHOD = "files"
    const val ALGORITHM = "sha256"
}
