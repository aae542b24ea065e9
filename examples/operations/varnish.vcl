vcl 4.1;
# Varnish in front of `capseal serve --trusted-proxy 127.0.0.1`: /etc/varnish/default.vcl

backend capseal {
    .host = "127.0.0.1";
    .port = "8417";
    .first_byte_timeout = 120s;
    .between_bytes_timeout = 60s;
}

sub vcl_recv {
    unset req.http.X-Forwarded-Host;
    unset req.http.X-Piece;
    set req.http.X-Forwarded-For = client.ip;           # replaces what the client wrote
    set req.http.X-Forwarded-Proto = "http";            # "https" where a TLS proxy stands in front
    if ((req.method != "GET" && req.method != "HEAD") || req.http.Authorization || req.url ~ "^/v1/uploads") {
        return (pass);
    }
    if (req.url ~ "^/v1/apps/[^/]+/channels/[^/]+/releases/[0-9]+/(payload|attachments/[^/]+)$" && req.method == "GET") {
        # Varnish would fetch a whole payload to answer one range of it: pieces are kept each by itself.
        if (req.http.Range ~ "^bytes=[0-9]+-[0-9]+$" && !req.http.If-Range) {
            set req.http.X-Piece = req.http.Range;
            unset req.http.Range;
            return (hash);
        }
        return (pass);                                  # a whole payload, which may be many gigabytes
    }
}

sub vcl_hash {
    if (req.http.X-Piece) {
        hash_data(req.http.X-Piece);
    }
}

sub vcl_backend_fetch {
    if (bereq.http.X-Piece) {
        set bereq.http.Range = bereq.http.X-Piece;
    }
}

sub vcl_backend_response {
    if (bereq.http.X-Piece && beresp.status == 206) {
        # Varnish keeps no 206: to it, a piece is a whole, and becomes one of a range again on its way out.
        set beresp.http.X-Piece-Range = beresp.http.Content-Range;
        unset beresp.http.Content-Range;
        set beresp.status = 200;
        unset beresp.http.X-Request-Id;                 # what is kept is not of the request that brought it
        set beresp.ttl = 30d;
        return (deliver);
    }
    # All else by what the server says: seals, latest and lists are no-cache, errors no-store.
}

sub vcl_deliver {
    if (resp.http.X-Piece-Range) {
        set resp.http.Content-Range = resp.http.X-Piece-Range;
        unset resp.http.X-Piece-Range;
        set resp.status = 206;
        set resp.reason = "Partial Content";
    }
}
