# The registry on all interfaces, port 9000, with its archive in the volume /data:
#
#   docker build --tag twisted-registry .
#   docker run --rm --publish 9000:9000 --volume models:/data twisted-registry

FROM python:3.13-slim AS build
COPY . /source
# The last step has Twisted write its cache of plugins, which the daemon's user may not.
RUN python -m venv /opt/registry \
    && /opt/registry/bin/pip install --no-cache-dir /source \
    && /opt/registry/bin/python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home registry \
    && install --directory --owner=registry --group=registry /data
COPY --from=build /opt/registry /opt/registry

# PYTHONSAFEPATH: no code is run from the working directory, nor from the volume.
ENV PATH=/opt/registry/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    COGMENT_MODEL_REGISTRY_INTERFACE=0.0.0.0 \
    COGMENT_MODEL_REGISTRY_PORT=9000 \
    COGMENT_MODEL_REGISTRY_ARCHIVE_DIR=/data

USER registry
WORKDIR /
VOLUME /data
EXPOSE 9000

# The daemon lets the calls under way end, then ends itself, with status 0.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["twisted-registry", "health"]

# In a container twistd has the same process id each time: a pidfile left behind would keep it from starting.
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile=", "model-registry"]
