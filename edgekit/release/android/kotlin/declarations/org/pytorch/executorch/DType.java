package org.pytorch.executorch;

public enum DType { FLOAT }
