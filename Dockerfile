# The program and nothing else: state lives in a store that is named with ROLLOUTCTL_STORE, policies
# are mounted. It runs with a read-only root; only `rehearse` needs a scratch file: `--tmpfs /tmp`.
#
# The tag pins the Python; to pin the bytes too, write the digest that your registry shows:
# --build-arg BASE=python:3.13-slim@sha256:...

ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Before the code: this layer changes with a lock file only.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /build \
    && /build/bin/python -m pip install --require-hashes -r requirements-build.lock \
    && python -m venv --without-pip /opt/rolloutctl \
    && /build/bin/python -m pip --python /opt/rolloutctl install \
        --require-hashes --only-binary :all: --no-compile -r requirements.lock

COPY LICENSE README.md pyproject.toml ./
COPY controller controller
RUN /build/bin/python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /build/bin/python -m pip --python /opt/rolloutctl install --no-index --no-deps --no-compile /wheel/*.whl \
    && /opt/rolloutctl/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/rolloutctl/lib

FROM ${BASE}
# A start without bytecode takes twice as long, and the base image comes without. This kind of
# bytecode does not depend on the times of files, which copying may change.
RUN python -m compileall -q --invalidation-mode unchecked-hash -x '/(site-packages|idlelib|tkinter|test)/' \
    "$(python -c 'import os; print(os.path.dirname(os.__file__))')"
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rolloutctl" \
    org.opencontainers.image.description="Progressive delivery for AWS serverless" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/rolloutctl /opt/rolloutctl
ENV PATH=/opt/rolloutctl/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
# No shell in between: SIGTERM reaches the program, which ends with 143.
ENTRYPOINT ["rolloutctl"]
