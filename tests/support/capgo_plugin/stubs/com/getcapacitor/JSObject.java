package com.getcapacitor;

import org.json.JSONException;
import org.json.JSONObject;

public class JSObject extends JSONObject {
    @Override
    public JSObject put(String name, Object value) {
        try {
            super.put(name, value);
        } catch (JSONException error) {
            throw new IllegalArgumentException(error);
        }
        return this;
    }

    @Override
    public String getString(String name) {
        return optString(name, null);
    }
}
