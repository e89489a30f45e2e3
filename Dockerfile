# Two stages: wheels are installed where there is pip; the final image has Python and them, no more.
# Both start from the same plain Debian, so that any registry or mirror that has it will do.
FROM docker.io/library/debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
 && python3 -m venv /opt/rocketmq-operator
WORKDIR /src
COPY requirements/runtime.txt requirements/runtime.txt
RUN /opt/rocketmq-operator/bin/pip install --no-cache-dir --no-compile --only-binary :all: \
      --require-hashes -r requirements/runtime.txt
COPY controller controller
COPY reconcilers reconcilers
COPY rocketmq rocketmq
# The packages are copied, not built: they are pure Python, and no build tool is fetched unpinned.
RUN site=$(/opt/rocketmq-operator/bin/python -c 'import site; print(site.getsitepackages()[0])') \
 && cp -r controller reconcilers rocketmq "$site/" \
 && rm -rf "$site/pip" "$site/setuptools" "$site"/pip-* "$site"/setuptools-* "$site/pkg_resources" \
      "$site/_distutils_hack" "$site/distutils-precedence.pth" /opt/rocketmq-operator/bin/pip* \
 && find "$site" -name tests -type d -prune -exec rm -rf {} + \
 && /opt/rocketmq-operator/bin/python -m compileall -q "$site"

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-minimal libpython3.11-stdlib ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
COPY --from=build /opt/rocketmq-operator /opt/rocketmq-operator
# 65532 is the customary "nonroot"; given as a number so that runAsNonRoot can be checked.
USER 65532:65532
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["/opt/rocketmq-operator/bin/python", "-m", "reconcilers"]
