package ai.onnxruntime;

import java.util.Map;

public class OrtSession implements AutoCloseable {
    public native Map<String, NodeInfo> getInputInfo() throws OrtException;

    public native Map<String, NodeInfo> getOutputInfo() throws OrtException;

    public native Result run(Map<String, ? extends OnnxTensorLike> inputs, Map<String, ? extends OnnxValue> outputs)
            throws OrtException;

    public native void close() throws OrtException;

    public static class Result implements AutoCloseable {
        public native void close();
    }

    public static class SessionOptions implements AutoCloseable {
        public native void setSessionLogLevel(OrtLoggingLevel level) throws OrtException;

        public native void setIntraOpNumThreads(int count) throws OrtException;

        public native void setInterOpNumThreads(int count) throws OrtException;

        public native void addConfigEntry(String key, String value) throws OrtException;

        public native void close();
    }
}
