# docker build -t tinyllm . && docker run -p 127.0.0.1:5000:5000 -v "$PWD/tour/classifier:/model:ro" tinyllm
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 OPENBLAS_NUM_THREADS=1
WORKDIR /app
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY tinyllm tinyllm
RUN pip install --no-cache-dir ".[serve,h5]" && useradd --system --no-create-home tinyllm
USER tinyllm

EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=2s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/readyz', timeout=1)"]
# exec form: SIGTERM reaches the server itself, which finishes what it has accepted
ENTRYPOINT ["tinyllm", "serve"]
CMD ["/model", "--host", "0.0.0.0"]
