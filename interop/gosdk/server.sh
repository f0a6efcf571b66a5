# Go SDK 1.8.0: bearer-token middleware and protected-resource handler, trusting our issuer
url=http://127.0.0.1:9310/mcp
install() { (cd interop/gosdk && go build -o "$work/gosdk" .); }
serve() { "$work/gosdk"; }
