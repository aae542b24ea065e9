package android.util;

public class ArrayMap<K, V> extends java.util.HashMap<K, V> {}
