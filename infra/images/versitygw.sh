#!/bin/sh
# Keys come from files, as Docker hands secrets over; the gateway takes them from its environment alone.
set -eu
ROOT_ACCESS_KEY_ID=$(cat "$S3_ACCESS_KEY_FILE")
ROOT_SECRET_ACCESS_KEY=$(cat "$S3_SECRET_KEY_FILE")
export ROOT_ACCESS_KEY_ID ROOT_SECRET_ACCESS_KEY
exec versitygw --port :7070 --region "${S3_REGION:-us-east-1}" --quiet --keep-alive --health /health \
  posix --sidecar "${S3_FOLDER:-/data}/metadata" "${S3_FOLDER:-/data}/objects"
