package com.getcapacitor;

public class Bridge {
    public Object getWebView() {
        return null;
    }

    public void eval(String script, Object callback) {}
}
