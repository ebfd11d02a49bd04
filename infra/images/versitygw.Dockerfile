# An S3 gateway over a folder, in the version that Vigil is tested with. Where there is an S3 already, it is not needed.
FROM golang:1.26.8-bookworm AS build
RUN CGO_ENABLED=0 GOBIN=/out go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

FROM busybox:1.37.0
COPY --from=build /out/versitygw /usr/local/bin/versitygw
COPY infra/images/versitygw.sh /usr/local/bin/versitygw.sh
RUN mkdir -p /data/objects /data/metadata && chown -R 1000:1000 /data
USER 1000:1000
EXPOSE 7070
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:7070/health"]
ENTRYPOINT ["/bin/sh", "/usr/local/bin/versitygw.sh"]
