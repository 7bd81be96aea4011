# The registry, on port 9000 of all interfaces of its container, with its archive in the volume /data:
#
#   docker build --tag twisted-registry .
#   docker run --rm --read-only --tmpfs /tmp --publish 127.0.0.1:9000:9000 --volume models:/data twisted-registry --insecure

# Every input is pinned: the base image by its digest, for all processors, and the packages by their hashes in locks/.
# --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:... selects a newer base.
ARG PYTHON_IMAGE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
COPY locks /locks
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r /locks/build.txt \
    && python -m venv /opt/registry \
    && /opt/registry/bin/pip install --require-hashes -r /locks/image.txt
COPY . /source
# The last step makes Twisted write its cache of plugins, which the daemon's user may not write.
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels /source \
    && /opt/registry/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/registry/bin/python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="twisted-registry" \
      org.opencontainers.image.description="A versioned registry of machine-learning models, served over gRPC and HTTP" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --user-group --no-create-home registry \
    && install --directory --owner=registry --group=registry /data
COPY --from=build /opt/registry /opt/registry

# PYTHONSAFEPATH: Python runs no code from the working directory or the volume.
# GRACE_SECONDS: 'docker stop' kills after ten seconds.
ENV PATH=/opt/registry/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    COGMENT_MODEL_REGISTRY_INTERFACE=0.0.0.0 \
    COGMENT_MODEL_REGISTRY_PORT=9000 \
    COGMENT_MODEL_REGISTRY_HEALTH_PORT=9001 \
    COGMENT_MODEL_REGISTRY_GRACE_SECONDS=5 \
    COGMENT_MODEL_REGISTRY_ARCHIVE_DIR=/data

USER 10001:10001
WORKDIR /
VOLUME /data
EXPOSE 9000 9001 9002

# The daemon lets running calls finish, then exits with status 0.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["twisted-registry", "health"]

# In a container twistd has the same process id each time: a pidfile left behind would prevent a start.
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile=", "model-registry"]
