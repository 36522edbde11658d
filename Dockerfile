# Two stages: build a static binary, then copy it alone. The image has no
# shell, no package manager, and runs as a user that owns nothing.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build
RUN mkdir -m 0700 /state

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /src/ownkey /ownkey
# The only place that is written to: mount a volume here and start the
# container with --read-only.
COPY --from=build --chown=65532:65532 /state /var/lib/ownkey
VOLUME /var/lib/ownkey
EXPOSE 8080
ENTRYPOINT ["/ownkey"]
CMD ["serve", "--config", "/etc/ownkey/ownkey.yaml"]
