package org.pytorch.executorch;

public abstract class Tensor {
    public static native java.nio.ByteBuffer allocateByteBuffer(int count);

    public static native java.nio.FloatBuffer allocateFloatBuffer(int count);

    public static native Tensor fromBlobUnsigned(java.nio.ByteBuffer data, long[] shape);

    public static native Tensor fromBlob(java.nio.FloatBuffer data, long[] shape);

    public native long[] shape();

    public abstract DType dtype();

    public native float[] getDataAsFloatArray();
}
