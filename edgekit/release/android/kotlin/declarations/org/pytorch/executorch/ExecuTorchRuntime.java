package org.pytorch.executorch;

public class ExecuTorchRuntime {
    public static native ExecuTorchRuntime getRuntime();
}
