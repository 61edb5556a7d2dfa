"""What a run of the suite reached of core-mm and of the architecture: functions, branches, features."""
