package android.os;

public class Build {
    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("0"); // no constant: a compiler must not keep the value
    }
}
