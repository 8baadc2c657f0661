package dev.edgekit.embedder

import java.io.File
import java.math.BigInteger
import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.MessageDigest
import java.security.PublicKey
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECFieldFp
import java.security.spec.X509EncodedKeySpec

private const val BEGIN = "-----BEGIN PUBLIC KEY-----"
private const val END = "-----END PUBLIC KEY-----"

// Of the curve P-256: SEC 2, version 2.0, section 2.4.2.
private val P256_PRIME = BigInteger("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", 16)
private val P256_B = BigInteger("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b", 16)
private val P256_ORDER = BigInteger("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)

/** The hash of each file that was signed, in lower-case hex; of an archive the name is ".". */
internal typealias Signed = Map<String, String>

/** A public key of the curve P-256 from PEM, as `openssl ec -pubout` writes it. */
internal fun publicKeyOf(pem: String): PublicKey {
    val lines = pem.trim().lines().map { it.trim() }
    val bytes = if (lines.first() != BEGIN || lines.last() != END) null
    else decodeBase64(lines.subList(1, lines.size - 1).joinToString(""))
    val key = try {
        bytes?.let { KeyFactory.getInstance("EC").generatePublic(X509EncodedKeySpec(it)) } as? ECPublicKey
    } catch (_: GeneralSecurityException) {
        null
    }
    val curve = key?.params
    val field = curve?.curve?.field as? ECFieldFp
    if (key == null || field?.p != P256_PRIME || curve.curve.b != P256_B || curve.order != P256_ORDER) {
        throw EmbedderError("public key: not a P-256 key in PEM: give the file that was published for this app")
    }
    return key
}

/** What [key] signed, as the signature file says; nothing but the signature is read before it holds. */
internal fun verifySignature(file: File, key: PublicKey, archive: Boolean): Signed {
    val (payload, signature) = envelopeOf(signatureBytes(file))
    val type = Limits.PAYLOAD_TYPE.toByteArray()
    val holds = try {
        Signature.getInstance("SHA256withECDSA").run {
            initVerify(key)
            // The pre-authentication encoding of DSSE, version 1.
            update("DSSEv1 ${type.size} ".toByteArray())
            update(type)
            update(" ${payload.size} ".toByteArray())
            update(payload)
            verify(signature)
        }
    } catch (_: GeneralSecurityException) {
        false
    }
    if (!holds) throw BundleRefused("wrong-key", file.name)
    return try {
        statementOf(payload, archive)
    } catch (error: JsonError) {
        throw BundleRefused("statement-unknown", error.message.orEmpty())
    }
}

private fun signatureBytes(file: File): ByteArray {
    if (!isThere(file)) throw BundleRefused("unsigned", file.name)
    if (!isPlain(file)) throw BundleRefused("not-a-plain-file", file.name)
    val length = file.length()
    if (length !in 1..Limits.SIGNATURE_BYTES) throw BundleRefused("signature-damaged", "$length bytes")
    return file.readBytes()
}

/** What was signed, and the signature of it. */
private fun envelopeOf(bytes: ByteArray): Pair<ByteArray, ByteArray> {
    try {
        val bundle = parseJson(bytes)
        if (bundle.part<String>("mediaType") != Limits.MEDIA_TYPE) throw JsonError("another mediaType")
        val dsse = bundle.part<Map<*, *>>("dsseEnvelope")
        if (dsse.part<String>("payloadType") != Limits.PAYLOAD_TYPE) throw JsonError("another payloadType")
        val signature = dsse.part<List<*>>("signatures").singleOrNull() ?: throw JsonError("not one signature")
        val payload = decodeBase64(dsse.part("payload")) ?: throw JsonError("payload is not base64")
        val sig = decodeBase64(signature.part("sig")) ?: throw JsonError("sig is not base64")
        return payload to sig
    } catch (error: JsonError) {
        throw BundleRefused("signature-damaged", error.message.orEmpty())
    }
}

private fun statementOf(payload: ByteArray, archive: Boolean): Signed {
    val statement = parseJson(payload)
    if (statement.part<String>("_type") != Limits.STATEMENT_TYPE) throw JsonError("another _type")
    if (statement.part<String>("predicateType") != Limits.PREDICATE_TYPE) throw JsonError("another predicateType")
    val predicate = statement.part<Map<*, *>>("predicate")
    val form = predicate.part<Map<*, *>>("serialization")
    if (form.part<String>("method") != Limits.SERIALIZATION_METHOD) throw JsonError("another method")
    if (form.part<String>("hash_type") != Limits.ALGORITHM) throw JsonError("another hash_type")
    val resources = predicate.part<List<*>>("resources")
    val all = MessageDigest.getInstance("SHA-256")
    val files = resources.map { resource ->
        val digest = resource.part<String>("digest")
        if (resource.part<String>("algorithm") != Limits.ALGORITHM) throw JsonError("another algorithm")
        if (digest.length != 64 || !digest.all { it in '0'..'9' || it in 'a'..'f' }) throw JsonError("not a digest")
        all.update(ByteArray(32) { digest.substring(2 * it, 2 * it + 2).toInt(16).toByte() })
        resource.part<String>("name") to digest
    }
    val subject = statement.part<List<*>>("subject").singleOrNull() ?: throw JsonError("not one subject")
    if (subject.part<Map<*, *>>("digest").part<String>(Limits.ALGORITHM) != hex(all.digest())) {
        throw JsonError("its subject is not its resources")
    }
    if (archive) {
        if (files.size != 1 || files[0].first != ".") throw JsonError("not of one archive")
        return files.toMap()
    }
    if (files.size > Limits.FILES) throw BundleRefused("too-many-files", "${files.size} were signed")
    refuseNames(files.map { it.first })
    return files.toMap()
}

internal fun refuseNames(names: List<String>) {
    firstFault(names)?.let { throw BundleRefused(it.reason, it.name) }
}

internal fun hex(bytes: ByteArray): String = bytes.joinToString("") { "%02x".format(null as java.util.Locale?, it) }
