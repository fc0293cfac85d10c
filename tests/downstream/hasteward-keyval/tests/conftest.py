pytest_plugins = ["hasteward_lab.pytest_plugin"]
