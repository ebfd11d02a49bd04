# Vigil: one program, whose roles are chosen by VIGIL_ROLES. Build from the project's root:
#   docker build -f infra/images/vigil.Dockerfile -t vigil .
# Runs as an ordinary user on a read-only file system; it writes to VIGIL_DATA and /tmp alone.
ARG NODE=24.21.0-bookworm-slim

FROM node:${NODE} AS build
WORKDIR /vigil
COPY package.json package-lock.json .npmrc ./
COPY packages packages
COPY services services
# The Node of package.json is the image's own: its package would bring a second one.
RUN npm ci --ignore-scripts \
 && npm run build:wasm \
 && npm run build:page \
 && npm prune --omit=dev --ignore-scripts \
 && rm -rf node_modules/node node_modules/node-bin-* node_modules/.bin/node

FROM node:${NODE} AS vigil
# Debian's ffmpeg with security updates: it decodes what strangers send.
RUN apt-get update \
 && apt-get install -y --no-install-recommends "ffmpeg=7:5.1.*" \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 1000 -g 1000 -m 0700 /var/lib/vigil
WORKDIR /vigil
COPY --from=build /vigil/package.json ./
COPY --from=build /vigil/node_modules node_modules
COPY --from=build /vigil/packages packages
COPY --from=build /vigil/services services
COPY infra/s3/create-bucket.ts infra/s3/create-buckets.ts infra/s3/
ENV NODE_ENV=production VIGIL_DATA=/var/lib/vigil
USER 1000:1000
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/vigil/services/cli/bin/vigil.mjs"]
CMD ["start"]
