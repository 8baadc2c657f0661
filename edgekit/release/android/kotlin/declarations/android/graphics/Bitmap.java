package android.graphics;

public final class Bitmap {
    public enum Config { ARGB_8888 }

    public native Config getConfig();

    public native boolean isRecycled();

    public native Bitmap copy(Config config, boolean isMutable);

    public native int getWidth();

    public native int getHeight();

    public native ColorSpace getColorSpace();

    public native void setColorSpace(ColorSpace space);

    public native void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height);

    public native void recycle();
}
