# EdgeKit with every export runtime, for machines without Python: docker build -t edgekit .
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" edgekit export --target ios
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY models models
COPY edgekit edgekit
RUN /opt/build/bin/python -m build --wheel --outdir /wheels .

FROM python:3.11-slim-bookworm
# JDK and Maven compile the Android library of `edgekit package`.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends maven openjdk-17-jdk-headless \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt "$(ls /wheels/*.whl)[all]" && rm -r /wheels
RUN useradd --create-home edgekit
USER edgekit
# Any user may be given to docker run, also one without a name.
ENV HOME=/tmp USER=edgekit
WORKDIR /work
ENTRYPOINT ["edgekit"]
