"""EXL2, the format of exllamav2 (MIT): GPTQ with activation order and mixed bits, for GPU gateways such as Jetson.

Written and read here on the CPU; exllamav2 needs CUDA to run it.
"""
