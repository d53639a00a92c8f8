# acrank on an NVIDIA GPU:  docker build -f docker/cuda.Dockerfile -t acrank:cuda .
#   docker run --rm --gpus all --shm-size 2g -v "$PWD:/work" acrank:cuda score --zoo model_zoo.yaml --data ./target
FROM python:3.12-slim
ARG EXTRAS=report,segmentation,volumes,dicom
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY acrank ./acrank
# hadolint ignore=DL3013
RUN python -m pip install --no-cache-dir "torch==2.13.0" "torchvision==0.28.0" \
    && python -m pip install --no-cache-dir ".[$EXTRAS]" \
    && useradd --create-home --uid 1000 acrank
USER 1000
ENV ACRANK_CACHE=/home/acrank/.cache/acrank NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
ENTRYPOINT ["acrank"]
CMD ["--help"]
