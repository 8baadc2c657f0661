"""The npm package: an ONNX file, and the JavaScript that embeds pictures with it in browsers and in Node."""
