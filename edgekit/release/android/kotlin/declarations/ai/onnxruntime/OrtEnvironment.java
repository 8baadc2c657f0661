package ai.onnxruntime;

public final class OrtEnvironment {
    public static native OrtEnvironment getEnvironment(OrtLoggingLevel level, String name);

    public native OrtSession createSession(String path, OrtSession.SessionOptions options) throws OrtException;

    public native String getVersion();
}
