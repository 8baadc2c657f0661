package ai.onnxruntime;

public class OnnxTensor extends OnnxTensorLike {
    public static native OnnxTensor createTensor(OrtEnvironment environment, java.nio.FloatBuffer data, long[] shape)
            throws OrtException;

    public static native OnnxTensor createTensor(
            OrtEnvironment environment, java.nio.ByteBuffer data, long[] shape, OnnxJavaType type) throws OrtException;

    public native void close();
}
