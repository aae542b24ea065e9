package androidx.work;

import java.util.HashMap;
import java.util.Map;

public class Data {
    public static final Data EMPTY = new Data();
    public final Map<String, Object> values = new HashMap<>();

    public String getString(String name) {
        return (String) values.get(name);
    }

    public int getInt(String name, int otherwise) {
        return (Integer) values.getOrDefault(name, otherwise);
    }

    public boolean getBoolean(String name, boolean otherwise) {
        return (Boolean) values.getOrDefault(name, otherwise);
    }

    public static class Builder {
        private final Data data = new Data();

        public Builder putString(String name, String value) {
            data.values.put(name, value);
            return this;
        }

        public Builder putInt(String name, int value) {
            data.values.put(name, value);
            return this;
        }

        public Builder putBoolean(String name, boolean value) {
            data.values.put(name, value);
            return this;
        }

        public Data build() {
            return data;
        }
    }
}
