# acrank on a CPU:  docker build -f docker/cpu.Dockerfile --build-arg TORCH_INDEX=URL -t acrank .
#   docker run --rm -v "$PWD:/work" acrank score --zoo model_zoo.yaml --data ./target
FROM python:3.12-slim
ARG EXTRAS=report,segmentation,volumes,dicom
# The index of torch's CPU builds, from PyTorch's install page; without it the image holds CUDA, too, and is large.
ARG TORCH_INDEX=
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY acrank ./acrank
# hadolint ignore=DL3013
RUN python -m pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch==2.13.0" "torchvision==0.28.0" \
    && python -m pip install --no-cache-dir ".[$EXTRAS]" \
    && useradd --create-home --uid 1000 acrank
USER 1000
ENV ACRANK_CACHE=/home/acrank/.cache/acrank
WORKDIR /work
ENTRYPOINT ["acrank"]
CMD ["--help"]
