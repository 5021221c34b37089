# The program and nothing else: state lives in a store that is named with ROLLOUTCTL_STORE, policies
# are mounted. It runs with a read-only root; only `rehearse` needs a scratch file: `--tmpfs /tmp`.
#
# The base is pinned by its digest, which a pull request moves each week (.github/dependabot.yml).
# Another one: --build-arg BASE=python:3.13-slim@sha256:...
# `make image` builds it with its labels, `make image-check` runs it, too, as a scheduler does.

# checkov:skip=CKV_DOCKER_7:the tag and the digest are in BASE
# checkov:skip=CKV_DOCKER_2:each command ends by itself; what looks after it is its exit status, and the alarm on ticks that stop

ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Before the code: this layer changes with a lock file only. The lock has no rich: a scheduled tick
# draws nothing, and a status on a terminal is printed in lines.
COPY requirements-image.lock requirements-build.lock ./
RUN python -m venv /build \
    && /build/bin/python -m pip install --require-hashes -r requirements-build.lock \
    && python -m venv --without-pip /opt/rolloutctl \
    && /build/bin/python -m pip --python /opt/rolloutctl install \
        --require-hashes --only-binary :all: --no-compile -r requirements-image.lock

COPY LICENSE README.md pyproject.toml ./
COPY controller controller
COPY policies policies
COPY deploy/cut_models.py deploy/cut_models.py
# botocore knows more than 400 services, and a scheduled task pulls all of them for every tick. Left
# are the operations that the program calls, and what lends credentials to a profile.
RUN /build/bin/python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /build/bin/python -m pip --python /opt/rolloutctl install --no-index --no-deps --no-compile /wheel/*.whl \
    && /opt/rolloutctl/bin/python deploy/cut_models.py /opt/rolloutctl/lib/python3*/site-packages \
    && /opt/rolloutctl/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/rolloutctl/lib

# What the program is made of, with the hashes that were asked for. Python and the system below it are
# the base image's, and are told by its own.
FROM ${BASE} AS sbom
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements-sbom.lock ./
RUN python -m venv /sbom \
    && /sbom/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-sbom.lock
COPY pyproject.toml requirements-image.lock ./
RUN /sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
        --output-reproducible --output-file sbom.cdx.json requirements-image.lock

FROM ${BASE}
# A start without bytecode takes twice as long, and the base image comes without. This kind of
# bytecode does not depend on the times of files, which copying may change.
RUN python -m compileall -q --invalidation-mode unchecked-hash -x '/(site-packages|idlelib|tkinter|test)/' \
    "$(python -c 'import os; print(os.path.dirname(os.__file__))')"
COPY --from=build /opt/rolloutctl /opt/rolloutctl
COPY --from=sbom /src/sbom.cdx.json /opt/rolloutctl/sbom.cdx.json
ENV PATH=/opt/rolloutctl/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Last: with another commit, only these change.
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="rolloutctl" \
    org.opencontainers.image.description="Progressive delivery for AWS serverless" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}" \
    org.opencontainers.image.base.name="${BASE}"
USER 10001:10001
# No shell in between: SIGTERM reaches the program, which ends with 143.
ENTRYPOINT ["rolloutctl"]
