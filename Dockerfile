# Two images: the default one has a browser; `--target slim` has only the static binary.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
# COMMIT is the commit of the build: the image has no checkout.
ARG COMMIT=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/mcpauth/conformance/suites.Version=$VERSION -X github.com/mcpauth/conformance/suites.Commit=$COMMIT" -o /mcpauth ./cmd/mcpauth

FROM gcr.io/distroless/static-debian12:nonroot AS slim
COPY --from=build /mcpauth /mcpauth
WORKDIR /work
ENTRYPOINT ["/mcpauth"]

FROM debian:12-slim AS browser
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates chromium-headless-shell && rm -rf /var/lib/apt/lists/* \
	&& useradd --create-home --uid 10001 mcpauth
COPY --from=build /mcpauth /usr/local/bin/mcpauth
USER mcpauth
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/mcpauth"]
